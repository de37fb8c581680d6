"""The loop around a population's step: groups of members in memory, each trained until the last of it has finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from portable_bp.arrays import Array, Namespace
from portable_bp.backend import Epoch, Order, State
from portable_bp.backpropagation import Model, training_step
from portable_bp.errors import NonFiniteError
from portable_bp.history import History
from portable_bp.optimizers.optimizer import Optimizer, Tree
from portable_bp.populations.stacking import chosen, member_of
from portable_bp.populations.step import CORE
from portable_bp.streaming import host
from portable_bp.training import Run, measure
from portable_bp.tripwire.locating import Locator

SHORTER = 16
"""Where a member diverges in a call of many epochs, it is sent through calls of so many times fewer."""


@dataclass(eq=False)
class Member:
    """One network's part in a population; ``state`` is the network's own, before the training and after it."""

    seed: int
    epoch: int
    """Epochs that it had been trained before."""
    epochs: int
    """Epochs that it is to be trained now."""
    optimizer: Optimizer
    state: State
    history: History = field(default_factory=History)
    finished: bool = False

    def end(self, state: State, error: NonFiniteError | None = None) -> None:
        """Its training is over."""
        self.finished, self.state, self.history.error = True, state, error


@dataclass(frozen=True)
class Group:
    """Members that are in memory together: in slot k of every array ``members[k]``, None where it has left."""

    members: list[Member | None]
    state: State
    done: int
    """Epochs trained in this fit."""
    at_once: int

    @property
    def active(self) -> dict[int, Member]:
        """The members that still train, by slot."""
        return {slot: member for slot, member in enumerate(self.members) if member is not None}


@dataclass(frozen=True)
class Training:
    """How all groups are trained; ``evaluated`` is the number of members whose evaluation fits into memory."""

    run: Run
    model: Model
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
        numbers = self._read(after["params"], losses)
        seconds = (perf_counter() - started) / (count * len(active))
        doubtful = self._told(group, after, count, numbers, seconds)
        left = [slot for slot, member in active.items() if not member.finished and slot not in doubtful]
        done, shorter = group.done + count, max(1, group.at_once // SHORTER)
        groups = [self._some(group, group.state, doubtful, group.done, shorter)] if doubtful else []
        if 2 * len(left) > len(group.members):
            members = [member if slot in set(left) else None for slot, member in enumerate(group.members)]
            return [*groups, Group(members, after, done, group.at_once)]
        return [*groups, self._some(group, after, left, done, group.at_once)] if left else groups

    def _told(self, group: Group, after: State, count: int, numbers: list[list[float]], seconds: float) -> list[int]:
        """Write the members' histories and end those that have finished; the slots of what diverged within a call."""
        xp, doubtful = self.run.backend.xp, []
        for slot, member in group.active.items():
            start = member.epoch + group.done + 1
            epochs = range(start, start + count)
            try:
                columns = self.run.columns_of(epochs, numbers[slot])
            except NonFiniteError as error:
                if count > 1:
                    doubtful.append(slot)
                else:
                    own = _own(xp, group.state, slot)
                    member.end(own, self._alone(member).located(own, member.history, error))
                continue
            member.history.extend({**columns, "seconds": [seconds] * count})
            if group.done + count == member.epochs:
                member.end(_own(xp, after, slot))
        return doubtful

    def _alone(self, member: Member) -> Locator:
        """What finds the place where a member stopped being finite: its training without the others."""
        backend, model = self.run.backend, replace(self.run.model, seed=member.seed)
        step = training_step(backend.xp, model, backend.lower(member.optimizer))
        return Locator(replace(self.run, model=model), backend.compile(step))

    def _some(self, group: Group, state: State, slots: list[int], done: int, at_once: int) -> Group:
        """A group of some members, from a state of all of them."""
        xp = self.run.backend.xp
        wanted = chosen(xp, state, xp.asarray(slots, dtype=xp.int64))
        return Group([group.members[slot] for slot in slots], wanted, done, at_once)

    def _orders(self, group: Group, count: int) -> list[Order]:
        """Row numbers of the epoch's batches; where each member has its own order, one member's after the other's."""
        batches, xp = self.run.batches, (host() if self.run.on_host else self.run.backend).xp
        if batches.size == batches.n:
            return [count]
        active = group.active
        if not batches.shuffle:
            return self.run.orders(0, 0)
        someone = next(iter(active.values()))  # whose order those who have left may share
        orders = [
            self.run.orders(one.seed, one.epoch + group.done + 1)
            for one in (member or someone for member in group.members)
        ]
        return [xp.concat(list(parts), axis=1) for parts in zip(*orders, strict=True)]

    def _read(self, params: Tree, losses: Array) -> list[list[float]]:
        """Everything measured, a list a member, read from the device in one transfer."""
        xp, k = self.run.backend.xp, losses.shape[-1]
        rows = [losses, xp.expand_dims(_finite(xp, params, losses), axis=0)]
        for data in self.run.measured.values():
            parts = []
            for start in range(0, k, self.evaluated):
                some = [{n: a[start : min(start + self.evaluated, k), ...] for n, a in own.items()} for own in params]
                parts.append(measure(self.run.backend, self.model, some, data, accuracy=self.run.accuracy))
            rows += [xp.expand_dims(xp.concat(list(values)), axis=0) for values in zip(*parts, strict=True)]
        together = xp.matrix_transpose(xp.concat(rows))
        numbers: list[list[float]] = self.run.backend.to_numpy(together).tolist()
        return numbers


def _own(xp: Namespace, state: State, slot: int) -> State:
    own: State = member_of(xp, {name: state[name] for name in CORE}, slot)
    return own


def _finite(xp: Namespace, params: Tree, like: Array) -> Array:
    """Share of each member's parameter arrays that hold only finite numbers, (K,), of the dtype of ``like``."""
    arrays = [array for layer in params for array in layer.values()]
    flags = [xp.all(xp.reshape(xp.isfinite(array), (array.shape[0], -1)), axis=-1) for array in arrays]
    return xp.mean(xp.astype(xp.stack(flags), like.dtype), axis=0)
