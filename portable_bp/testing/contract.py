"""What a part must be, take and return, looked at before anything is read from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from portable_bp.arguments import require_fields
from portable_bp.errors import ConfigurationError, GradientError
from portable_bp.testing.requirements import NETWORKS


def require_part(part: object, contract: type, example: str) -> None:
    """Refuse what is no instance of the contract, a class above all."""
    if not isinstance(part, contract):
        came = f"the class {part.__name__}" if isinstance(part, type) else in_one_line(repr(part))
        kind = contract.__name__.lower()
        raise ConfigurationError(f"check_{kind} got {came}, no {kind}: give an instance such as {example}")
    require_fields(part)


def pair(part: Any, method: str, form: str, answer: Any) -> tuple[Any, Any]:
    """Give the two things that a method returned; ``form`` names them."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        came = f"{len(answer)} things" if isinstance(answer, (tuple, list)) else type(answer).__name__
        raise GradientError(
            f"{part}: {method} must return a pair {form}; it returned {came}: end it with return {form[1:-1]}"
        )
    return answer[0], answer[1]


def gradients(part: Any, method: str, answer: Any) -> dict[str, Any]:
    """Give the gradients that a method returned, a dict."""
    if not isinstance(answer, dict):
        raise GradientError(
            f"{part}: the gradients of {method} must be a dict of arrays by the parameters' names; it returned "
            f"{type(answer).__name__}: write {{}} where there are no parameters"
        )
    return answer


@contextmanager
def trying(part: Any, what: str, cure: str) -> Iterator[None]:
    """Say ``what`` was tried and the cure, where the part raises something of its own."""
    try:
        yield
    except GradientError:
        raise
    except Exception as error:
        raised = f"{type(error).__name__} ({in_one_line(str(error))})"
        raise GradientError(f"{part}: {what} it raised {raised}: {cure}") from error


def networks_in_front(part: Any, shape: tuple[int, ...]) -> Any:
    """Try a part with K networks stacked in front; ``shape`` is then one of its arguments'."""
    return trying(
        part,
        f"with {NETWORKS} networks at once, stacked in front in arrays of shape {shape},",
        "count axes from the end, axis=-2 for the batch, and transpose with xp.matrix_transpose",
    )


def in_one_line(words: str) -> str:
    """Words of others, for a message."""
    return " ".join(words.split())
