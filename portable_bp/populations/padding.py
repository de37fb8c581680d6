"""Networks of different hidden widths in arrays of one shape: what a narrower one lacks is filled up with zeros.

A padded unit has weights and a bias of 0, and its output is multiplied by 0 before the next layer sees it. So it adds
exactly 0 to every sum, the gradients of all its weights are exactly 0, and an optimizer leaves them 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from portable_bp.arrays import Array, Namespace
from portable_bp.initializers import Zeros
from portable_bp.layers.dense import Dense
from portable_bp.layers.layer import Layer
from portable_bp.reproducible.powers import bits_for
from portable_bp.reproducible.products import BLOCK

if TYPE_CHECKING:
    from portable_bp.network import Network

Widths = tuple[int, ...]
"""Inputs of the first Dense, and outputs of every one."""
WASTE = 4
"""Largest number of weights that a network is padded to, as a multiple of its own."""


def widths_of(layers: Sequence[Layer]) -> Widths:
    """The widths between a network's Dense layers."""
    dense = [layer for layer in layers if type(layer) is Dense]
    return (*(layer.n_in for layer in dense[:1]), *(layer.n_out for layer in dense))


def without_widths(layer: Layer) -> Layer:
    """The layer without what members of a population may differ in: its widths, and how its parameters began."""
    if type(layer) is not Dense:
        return layer
    return replace(layer, n_in=1, n_out=1, weight_init=Zeros(), bias_init=Zeros())


def with_widths(layers: Sequence[Layer], widths: Widths) -> tuple[Layer, ...]:
    """The layers with other widths between them."""
    pairs = pairwise(widths)
    return tuple(_resized(layer, *next(pairs)) if type(layer) is Dense else layer for layer in layers)


def _resized(layer: Dense, n_in: int, n_out: int) -> Layer:
    return replace(layer, n_in=n_in, n_out=n_out)


def size_of(widths: Widths) -> int:
    """Number of the weights between these widths."""
    return sum(n_in * n_out for n_in, n_out in pairwise(widths))


def widest(given: Iterable[Widths]) -> Widths:
    """The widths into which all of these fit."""
    return tuple(max(column) for column in zip(*given, strict=True))


def padded_groups(network: Network, given: Sequence[Widths]) -> list[tuple[Widths, list[int]]]:
    """Which networks of these widths are trained in arrays of one shape: its widths, and the networks' numbers.

    From the largest to the smallest each joins the first group that then doesn't waste too much. ``network`` is one of
    them; where anything but elementwise layers stands between its Dense layers, equal widths alone make a group.
    """
    alike: dict[Widths, list[int]] = {}
    for number, widths in enumerate(given):
        alike.setdefault(widths, []).append(number)
    can_pad, exact = is_paddable(network.layers), network.backend.arithmetic == "reproducible"
    groups: list[list[int]] = []
    for widths in sorted(alike, key=size_of, reverse=True):
        for group in groups:
            if can_pad and _fits([given[number] for number in (*group, *alike[widths])], exact=exact):
                group += alike[widths]
                break
        else:
            groups.append(list(alike[widths]))
    return [(widest(given[number] for number in group), sorted(group)) for group in groups]


def is_paddable(layers: Sequence[Layer]) -> bool:
    """Whether only elementwise layers stand between the first Dense and the last."""
    dense = [number for number, layer in enumerate(layers) if type(layer) is Dense]
    between = layers[dense[0] : dense[-1]] if dense else ()
    return all(layer.elementwise or type(layer) is Dense for layer in between)


def _fits(group: Sequence[Widths], *, exact: bool) -> bool:
    """Whether these may be padded to the widest: it doesn't waste too much, and ``exact`` sums keep their bits."""
    together = widest(group)
    small = size_of(together) <= WASTE * min(map(size_of, group))
    return small and (not exact or {_cut(one) for one in group} == {_cut(together)})


def _cut(widths: Widths) -> tuple[int, ...]:
    """What decides how exact sums over the units, and over all elements of an array, cut their terms into slices."""
    sums = [*widths, *(n_in * n_out for n_in, n_out in pairwise(widths))]
    return tuple(bits_for(n) if n <= BLOCK else -n for n in sums)


def units(xp: Namespace, own: Sequence[int], n_in: int, dtype: Any) -> Array | None:
    """1 for each of the ``n_in`` inputs that a member has of its ``own``, 0 for those added, (K, 1, n_in).

    None where nothing is added.
    """
    if min(own) == n_in:
        return None
    column = xp.reshape(xp.asarray(own, dtype=xp.int64), (-1, 1, 1))
    return xp.astype(xp.arange(n_in, dtype=xp.int64) < column, dtype)
