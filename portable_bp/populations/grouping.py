"""How many members are in memory at a time, and the groups into which a population is cut."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from portable_bp.arrays import Array, Shape
from portable_bp.layers.dense import Dense
from portable_bp.layers.layer import Layer
from portable_bp.optimizers.optimizer import dtype_of
from portable_bp.philox import mask_key
from portable_bp.populations.member import Member
from portable_bp.populations.padding import units, widths_of
from portable_bp.populations.stacking import stacked
from portable_bp.populations.training import Group
from portable_bp.training import EVALUATED_AT_ONCE, Run

STATES = 4
"""States alive at a time: before and after a call, the one that is worked on, and its gradients."""
OUTPUTS = 4
"""Arrays of a layer's output alive at a time: itself, what its function needs, and the gradients by both."""


@dataclass(frozen=True)
class Footprint:
    """What one member takes in memory, in bytes, roughly: its state, and the arrays of an example on its way."""

    state: int
    example: int
    batch: int
    rows: int
    """Examples that are evaluated at a time."""

    @classmethod
    def of(cls, run: Run, state: Any, shapes: list[Shape | None]) -> Footprint:
        """For the shapes of a ``state``'s arrays, and those of an input of each layer and the output."""
        itemsize = 8 if run.model.dtype == "float64" else 4
        widths = [prod(shape) for shape in shapes if shape is not None]
        numbers = sum(map(prod, _leaves([state["params"], state["optimizer"]])))
        rows = max((data[0].shape[0] for data in run.measured.values()), default=0)
        example = itemsize * (widths[0] * run.batches.differ + OUTPUTS * sum(widths[1:]))
        return cls(itemsize * numbers, example, run.batches.size, min(rows, EVALUATED_AT_ONCE))

    def trained(self, limit: int) -> int:
        """Number of members that are trained within ``limit`` bytes, at least 1."""
        return max(1, limit // max(1, STATES * self.state + self.batch * self.example))

    def evaluated(self, limit: int) -> int:
        """Number of members that are evaluated within ``limit`` bytes, at least 1."""
        return max(1, limit // max(1, self.rows * self.example))


def _leaves(tree: Any) -> Iterator[Shape]:
    if isinstance(tree, (dict, list)):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(branch)
    else:
        yield tree


@dataclass(frozen=True)
class Form:
    """The form in which members of different widths are trained."""

    layers: Sequence[Layer]
    """The network's, as wide as the widest."""
    state: Any
    """The shapes of its state's arrays."""


def groups_of(run: Run, members: list[Member], numbers: dict[str, list[float]], form: Form, size: int) -> list[Group]:
    """Groups of at most ``size`` members that have taken as many steps and updates, and stop early or don't."""
    kinds: defaultdict[tuple[int, int, bool], list[int]] = defaultdict(list)
    for i, member in enumerate(members):
        taken = int(member.state["step"]), int(member.state["optimizer"]["t"])
        kinds[*taken, member.stopping is not None].append(i)
    groups = []
    for kind in kinds.values():
        count = -(-len(kind) // size)  # of nearly the same size, so that few are compiled
        for c in range(count):
            some = kind[c * len(kind) // count : (c + 1) * len(kind) // count]
            own = {name: [values[i] for i in some] for name, values in numbers.items()}
            groups.append(_group(run, [members[i] for i in some], own, form))
    return groups


def _group(run: Run, members: list[Member], numbers: dict[str, list[float]], form: Form) -> Group:
    xp = run.backend.xp
    state = {
        **stacked(xp, [member.state for member in members], form.state),
        "numbers": {n: xp.reshape(xp.asarray(own, dtype=xp.float64), (-1, 1, 1)) for n, own in numbers.items()},
        "keys": {str(i): _keys(run, members, i) for i, layer in enumerate(form.layers) if layer.stochastic},
        "units": _units(run, members, form.layers),
    }
    if members[0].stopping is None:
        return Group(list(members), state, 0, run.at_once(state["params"]))
    return Group(list(members), state, 0, 1, state["params"])


def _keys(run: Run, members: list[Member], layer: int) -> list[Array]:
    """The two words of each member's key for the masks of a layer, int64 (K, 1)."""
    xp, keys = run.backend.xp, [mask_key(member.network.seed, layer) for member in members]
    return [xp.asarray([[key[word]] for key in keys], dtype=xp.int64) for word in range(2)]


def _units(run: Run, members: list[Member], layers: Sequence[Layer]) -> dict[str, Array]:
    """The units that members have, by the Dense layers in which some have fewer inputs."""
    xp, dtype = run.backend.xp, dtype_of(members[0].state["params"])
    widest, own = widths_of(layers), [widths_of(member.network.layers) for member in members]
    dense = [number for number, layer in enumerate(layers) if type(layer) is Dense]
    found = {str(i): units(xp, [one[k] for one in own], widest[k], dtype) for k, i in enumerate(dense)}
    return {i: array for i, array in found.items() if array is not None}
