"""How quantities and numbers are written, in plain text and in LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from portable_bp import layers
from portable_bp.layers import Layer

INDICES = "Indices count from 1 in formulas and from 0 in Python."
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True)
class Symbol:
    """A piece of a formula in both scripts."""

    text: str
    latex: str

    def __str__(self) -> str:
        return self.text


FUNCTIONS: dict[type[Layer], Symbol] = {
    layers.Sigmoid: Symbol("σ", r"\sigma"),
    layers.Tanh: Symbol("tanh", r"\tanh"),
    layers.ReLU: Symbol("ReLU", r"\mathrm{ReLU}"),
    layers.LeakyReLU: Symbol("LeakyReLU", r"\mathrm{LeakyReLU}"),
    layers.ELU: Symbol("ELU", r"\mathrm{ELU}"),
    layers.GELU: Symbol("GELU", r"\mathrm{GELU}"),
    layers.Softplus: Symbol("softplus", r"\mathrm{softplus}"),
    layers.Identity: Symbol("id", r"\mathrm{id}"),
}
"""The elementwise activations, and what they are called in formulas."""


def function(layer: Layer) -> Symbol:
    """What an elementwise activation is called: one of a user's own, derived from none of these, by its class."""
    own = type(layer).__name__
    return next((name for kind, name in FUNCTIONS.items() if isinstance(layer, kind)), upright(own))


def upright(word: str) -> Symbol:
    """A word as a name in a formula."""
    escaped = word.replace("_", r"\_")
    return Symbol(word, rf"\mathrm{{{escaped}}}")


@dataclass(frozen=True)
class Name:
    """A family of quantities such as z³ or x: a letter and, but for the input, the number of its layer of neurons."""

    letter: str
    latex_letter: str
    level: int | None = None

    @property
    def whole(self) -> Symbol:
        """All of them together, a vector or a matrix."""
        if self.level is None:
            return Symbol(self.letter, self.latex_letter)
        return Symbol(
            f"{self.letter}{str(self.level).translate(SUPERSCRIPT)}", f"{self.latex_letter}^{{({self.level})}}"
        )

    def __getitem__(self, index: int | tuple[int, ...]) -> Symbol:
        """One of them; indices count from 0, as Python's, and are written from 1, as in textbooks."""
        numbers = [str(i + 1) for i in ((index,) if isinstance(index, int) else index)]
        joined = ("," if any(len(number) > 1 for number in numbers) else "").join(numbers)
        return Symbol(f"{self.whole.text}{joined.translate(SUBSCRIPT)}", f"{self.whole.latex}_{{{joined}}}")


X, Y = Name("x", "x"), Name("y", "y")
"""The network's inputs, and the targets."""


def counted(n: int, what: str) -> str:
    """Number and noun: 1 example, 2 examples."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def partial(of: Symbol) -> Symbol:
    """∂J/∂(of)."""
    return Symbol(f"∂J/∂{of}", rf"\frac{{\partial J}}{{\partial {of.latex}}}")


def applied(f: Symbol, to: Symbol, prime: bool = False) -> Symbol:
    """f(to), or f′(to)."""
    return Symbol(f"{f}{'′' * prime}({to})", f"{f.latex}{chr(39) * prime}({to.latex})")


def joined(symbols: Iterable[Symbol], text: str, latex: str | None = None) -> Symbol:
    """Symbols with an operator between."""
    listed = list(symbols)
    return Symbol(text.join(s.text for s in listed), (text if latex is None else latex).join(s.latex for s in listed))


def product(symbols: Iterable[Symbol]) -> Symbol:
    """Factors with a point between: s · t · …"""
    return joined(symbols, " · ", r" \cdot ")


def number(value: float, *, in_product: bool = False) -> Symbol:
    """A number to four digits; a negative one within a product in brackets."""
    text = f"{value + 0.0:.4g}"  # + 0.0 makes -0.0 a plain 0
    mantissa, _, exponent = text.partition("e")
    latex = rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else text
    return Symbol(f"({text})", f"({latex})") if in_product and value < 0 else Symbol(text, latex)


def numbers(values: Iterable[float]) -> Symbol:
    """A product of numbers."""
    return product(number(value, in_product=True) for value in values)
