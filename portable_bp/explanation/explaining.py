"""`portable_bp.explain`: the derivation of a small network's gradients, made and checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import isfinite
from typing import TYPE_CHECKING, Any

from portable_bp.arguments import whole_number
from portable_bp.arrays import Shape
from portable_bp.checking.differences import check_gradients, in_float64
from portable_bp.errors import ConfigurationError, GradientError, NonFiniteError
from portable_bp.explanation.chain import require_explainable, stages
from portable_bp.explanation.derivation import EXAMPLES_SHOWN, Explanation
from portable_bp.explanation.matrices import matrix_form
from portable_bp.explanation.paths import Key, Partial, count, partials

if TYPE_CHECKING:
    from portable_bp.network import Network

MOST_FACTORS = 2000
"""Factors that are written out at most, some 400 lines."""
TOLERANCE = 1e-12
"""Difference of both forms relative to the sum of |products|: some thousand roundings of float64."""
DIFFERENCES = 100
"""Elements of each array that are held to central differences, drawn at random where there are more."""


def explain(net: Network, x: Any, y: Any, *, only: Iterable[Key] | None = None) -> Explanation:
    """Write out, with numbers, why each ∂J/∂θ of a small network is what it is::

        ∂J/∂θ = Σ over examples, over paths from θ to J:  ∂J/∂a · f′(z) · θ · f′(z) · … · ∂z/∂θ
        δᴸ = ∂J/∂a ⊙ f′(z),   δˡ = δˡ⁺¹ Θˡᵀ ⊙ f′(zˡ),   ∂J/∂Θˡ = (aˡ)ᵀ δˡ⁺¹,   ∂J/∂bˡ = Σ_batch δˡ⁺¹

    x (batch, n_in) and y are as for `fit`; all is computed in float64 whatever the network's dtype. ``only`` selects
    parameters as (layer, name, index), such as ``[(0, "weight", (1, 0))]``; without it all are explained. f′ is the
    layer's own `backward` with dy = 1 and ∂J/∂a the loss's own, so no derivative is written twice; the matrix form is
    the network's own backward pass. A derivative that is wrong in both is found by central differences.

    Print the result, or take its ``markdown()``, or give it to ``rich.print``.

    Raises GradientError where the paths' sums and the matrix form differ by more than rounding, or where both differ
    from central differences; ConfigurationError for layers other than Dense and those that are `elementwise`, and for a
    network with more than 2,000 factors to write; NonFiniteError where the loss is NaN or infinite.

    Source: the sum over paths is F. Bauer, "Computational graphs and rounding error", SIAM J. Numer. Anal. 11 (1974);
    the matrix form Rumelhart, Hinton and Williams, Nature 323 (1986).
    """
    require_explainable(net)
    double = in_float64(net)
    keys = _keys(double.architecture.param_shapes(), only)
    batch = double.preparation.batch(x, y)
    _require_few(net, keys, min(batch[0].shape[0], EXAMPLES_SHOWN), only is None)
    trace = double.trace(x, y).to_numpy()
    if not isfinite(trace.loss):
        raise NonFiniteError(
            f"explain got a network whose loss for x and y is {trace.loss:g}: its parameters are too large"
        )
    chain = stages(double, trace)
    found = partials(chain, keys)
    _require_agreement(net, found)
    differences = check_gradients(double, x, y, elements=DIFFERENCES)
    matrices = matrix_form(chain, first=min(layer for layer, _, _ in keys))
    target = double.backend.to_numpy(batch[1])
    selected = None if only is None else keys
    return Explanation(net.layers, net.loss, trace.loss, target, chain, selected, found, matrices, differences)


def _keys(shapes: Sequence[dict[str, Shape]], only: Any) -> list[Key]:
    """All parameters, those of the last layer first, or the checked ones of ``only``."""
    if only is not None:
        return [_key(shapes, key) for key in _listed(only)]
    keys = [
        (layer, name, index)
        for layer in reversed(range(len(shapes)))
        for name, shape in shapes[layer].items()
        for index in product(*map(range, shape))
    ]
    if not keys:
        raise ConfigurationError("explain got a network without parameters: put a Dense layer into it")
    return keys


def _listed(only: Any) -> list[Any]:
    listed = list(only) if isinstance(only, Iterable) and not isinstance(only, str) else []
    if not listed:
        raise ConfigurationError(f"explain got only={only!r}: list parameters such as (0, 'weight', (1, 0))")
    return listed


def _key(shapes: Sequence[dict[str, Shape]], given: Any) -> Key:
    try:
        layer, name, index = given
        index = tuple(index)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"explain got {given!r} in only=: write (layer, name, index) such as (0, 'weight', (1, 0))"
        ) from None
    layer = whole_number("explain got the layer", layer, 0, len(shapes) - 1)
    if not isinstance(name, str) or name not in shapes[layer]:
        has = ", ".join(map(repr, shapes[layer])) or "none"
        raise ConfigurationError(
            f"explain got {given!r} in only=: layer {layer} has no {name!r}; its parameters: {has}"
        )
    shape = shapes[layer][name]
    if len(index) != len(shape):
        raise ConfigurationError(f"explain got {given!r} in only=: {name} of layer {layer} has the shape {shape}")
    where = [
        whole_number(f"explain got {given!r} in only=: index", i, 0, n - 1) for i, n in zip(index, shape, strict=True)
    ]
    return layer, name, tuple(where)


def _require_few(net: Network, keys: Sequence[Key], examples: int, everything: bool) -> None:
    """Refuse what would be more than `MOST_FACTORS`, before any path is followed."""
    per_key = {layer: count(net.layers, layer) for layer in {layer for layer, _, _ in keys}}
    paths = sum(per_key[layer][0] for layer, _, _ in keys) * examples
    factors = sum(per_key[layer][0] * per_key[layer][1] for layer, _, _ in keys) * examples
    if factors > MOST_FACTORS:
        shown = f" for {examples} examples" if examples > 1 else ""
        cure = "select parameters, only=[(0, 'weight', (0, 0))], or take" if everything else "select fewer, or take"
        raise ConfigurationError(
            f"explain would write {factors:,} factors on {paths:,} paths{shown}, and writes {MOST_FACTORS:,} at most: "
            f"{cure} a smaller network{' or one example' * (examples > 1)}"
        )


def _require_agreement(net: Network, found: Sequence[Partial]) -> None:
    """Raise GradientError at the parameter, counted from the output, where both forms first differ."""
    wrong = [one for one in found if not (isfinite(one.value) and one.difference <= TOLERANCE * one.size)]
    if wrong:
        worst = max(wrong, key=lambda one: one.key[0])
        layer = worst.key[0]
        raise GradientError(
            f"∂J/∂{worst.symbol}, {worst.place}, is {worst.value:.9g} as a sum over paths and "
            f"{worst.backpropagation:.9g} by backpropagation, {len(wrong)} of {len(found)} gradients differ: look at "
            f"the backward of layer {layer}, {type(net.layers[layer]).__name__}, and of the layers behind it"
        )
