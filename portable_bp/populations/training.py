"""The loop around a population's step: groups of members in memory, each trained until the last of it has finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from time import perf_counter

from portable_bp.arrays import Array, Namespace
from portable_bp.backend import Epoch, Order, State
from portable_bp.backpropagation import training_step
from portable_bp.errors import NonFiniteError
from portable_bp.optimizers.optimizer import Tree, each
from portable_bp.params import mapped
from portable_bp.populations.member import Member
from portable_bp.populations.stacking import chosen, member_of
from portable_bp.populations.step import CORE, Members
from portable_bp.training import Run, measure
from portable_bp.tripwire.locating import Locator

SHORTER = 16
"""Where a member diverges in a call of many epochs, it is sent through calls of so many times fewer."""


@dataclass(frozen=True)
class Group:
    """Members that are in memory together: in slot k of every array ``members[k]``, None where it has left."""

    members: list[Member | None]
    state: State
    done: int
    """Epochs trained in this fit."""
    at_once: int
    best: Tree | None = None
    """Every member's parameters after its best epoch, where something looks for that."""

    @property
    def active(self) -> dict[int, Member]:
        """The members that still train, by slot."""
        return {slot: member for slot, member in enumerate(self.members) if member is not None}

    def has(self, slots: list[int]) -> list[bool]:
        """Whether each slot is among these."""
        wanted = set(slots)
        return [slot in wanted for slot in range(len(self.members))]


@dataclass(frozen=True)
class Training:
    """How all groups are trained; ``evaluated`` is the number of members whose evaluation fits into memory."""

    run: Run
    model: Members
    epoch: Epoch
    evaluated: int

    def train(self, groups: Sequence[Group]) -> None:
        """Train all groups to the end; every member then has its state and its history."""
        waiting = list(groups)
        while waiting:
            waiting += self._advanced(waiting.pop())

    def _advanced(self, group: Group) -> list[Group]:
        """One call of the compiled epoch; what is left to train."""
        active = group.active
        count = min(group.at_once, *(member.epochs - group.done for member in active.values()))
        started = perf_counter()
        after, losses = self.epoch(group.state, self.run.data, self._orders(group, count))
        numbers = self._read(after, losses)
        seconds = (perf_counter() - started) / (count * len(active))
        doubtful, improved = self._told(group, count, numbers, seconds)
        best = self._best(group, after, improved)
        for slot, member in active.items():
            if slot not in doubtful and not member.finished and member.is_over(group.done + count):
                member.end(_own(self.run.backend.xp, after, slot, member), self._kept(best, slot, member))
        left = [slot for slot, member in active.items() if not member.finished and slot not in doubtful]
        done, shorter = group.done + count, max(1, group.at_once // SHORTER)
        groups = [self._some(replace(group, at_once=shorter), doubtful)] if doubtful else []
        members = [active.get(slot) if stays else None for slot, stays in enumerate(group.has(left))]
        now = Group(members, after, done, group.at_once, best)
        if 2 * len(left) > len(group.members):
            return [*groups, now]
        return [*groups, self._some(now, left)] if left else groups

    def _told(
        self, group: Group, count: int, numbers: list[list[float]], seconds: float
    ) -> tuple[list[int], list[int]]:
        """Write the members' histories; the slots of what diverged within a call, and of what was best so far.

        A member that diverges in a call of one epoch ends here, with the parameters from before it.
        """
        doubtful, improved = list[int](), list[int]()
        for slot, member in group.active.items():
            start = member.network.epoch + group.done + 1
            try:
                columns = self.run.columns_of(range(start, start + count), numbers[slot])
            except NonFiniteError as error:
                if count > 1:
                    doubtful.append(slot)
                else:
                    own = _own(self.run.backend.xp, group.state, slot, member)
                    located = self._alone(member).located(own, member.history, error)
                    member.end(own, self._kept(group.best, slot, member), located)
                continue
            if member.take({**columns, "seconds": [seconds] * count}):
                improved.append(slot)
        return doubtful, improved

    def _alone(self, member: Member) -> Locator:
        """What finds the place where a member stopped being finite: its training without the others."""
        backend, net = self.run.backend, member.network
        step = training_step(backend.xp, net.model, backend.lower(member.optimizer))
        alone = replace(self.run, model=net.model, names=net.architecture.names)
        return Locator(alone, alone.reaching(backend.compile(step)))

    def _best(self, group: Group, after: State, improved: list[int]) -> Tree | None:
        """Each member's parameters after its best epoch, where something looks for it."""
        if group.best is None or not improved:
            return group.best
        xp = self.run.backend.xp
        better = xp.asarray([[[better]] for better in group.has(improved)], dtype=xp.bool)
        return each(lambda new, old: xp.where(better, new, old), after["params"], group.best)

    def _kept(self, best: Tree | None, slot: int, member: Member) -> Tree | None:
        if best is None:
            return None
        own: Tree = member_of(self.run.backend.xp, best, slot, member.state["params"])
        return own

    def _some(self, group: Group, slots: list[int]) -> Group:
        """The group with some of its members."""
        xp = self.run.backend.xp
        numbers = xp.asarray(slots, dtype=xp.int64)
        best = None if group.best is None else chosen(xp, group.best, numbers)
        members = [group.members[slot] for slot in slots]
        return replace(group, members=members, state=chosen(xp, group.state, numbers), best=best)

    def _orders(self, group: Group, count: int) -> list[Order]:
        """Row numbers of the epoch's batches; where each member has its own order, one member's after the other's."""
        batches, xp = self.run.batches, self.run.place.xp
        if batches.size == batches.n:
            return [count]
        active = group.active
        if not batches.shuffle:
            return self.run.orders(0, 0)
        someone = next(iter(active.values()))  # whose order those who have left may share
        orders = [
            self.run.orders(one.network.seed, one.network.epoch + group.done + 1)
            for one in (member or someone for member in group.members)
        ]
        return [xp.concat(list(parts), axis=1) for parts in zip(*orders, strict=True)]

    def _read(self, state: State, losses: Array) -> list[list[float]]:
        """Everything measured, a list a member, read from the device in one transfer."""
        xp, k, params = self.run.backend.xp, losses.shape[-1], state["params"]
        rows = [losses, xp.expand_dims(_finite(xp, params, losses), axis=0)]
        for data in self.run.measured.values():
            parts = []
            for start in range(0, k, self.evaluated):
                part = slice(start, min(start + self.evaluated, k))
                some, units = mapped(itemgetter((part, ...)), [params, state["units"]])
                model = replace(self.model, units=units)
                parts.append(measure(self.run.backend, model, some, data, accuracy=self.run.accuracy))
            rows += [xp.expand_dims(xp.concat(list(values)), axis=0) for values in zip(*parts, strict=True)]
        together = xp.matrix_transpose(xp.concat(rows))
        numbers: list[list[float]] = self.run.backend.to_numpy(together).tolist()
        return numbers


def _own(xp: Namespace, state: State, slot: int, member: Member) -> State:
    own: State = member_of(xp, state, slot, {name: member.state[name] for name in CORE})
    return own


def _finite(xp: Namespace, params: Tree, like: Array) -> Array:
    """Share of each member's parameter arrays that hold only finite numbers, (K,), of the dtype of ``like``."""
    arrays = [array for layer in params for array in layer.values()]
    flags = [xp.all(xp.reshape(xp.isfinite(array), (array.shape[0], -1)), axis=-1) for array in arrays]
    return xp.mean(xp.astype(xp.stack(flags), like.dtype), axis=0)
