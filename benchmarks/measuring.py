"""All contenders of a work in turn: one turn of each a round, so that a slow minute of the machine meets them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any

from contenders import Entry
from contestant import Contestant, Missing
from works import Work

Tell = Callable[[str], None]
"""Called with a line that says how far it is."""

PAUSE = 0.1
"""Seconds before each turn: idle threads of OpenBLAS and OpenMP go on spinning for some tens of milliseconds."""


@dataclass
class Result:
    """What was measured of a contender at a work; times in the work's milliseconds."""

    work: str
    contender: str
    missing: str | None = None
    first: float | None = None
    rounds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    """Mean loss of the first epoch and of the last one of each round."""
    accuracy: float | None = None
    peak_mb: float | None = None
    """Peak of resident memory until the end of the last round: libraries, data and training."""
    loaded_mb: float | None = None
    """The same peak before the first epoch."""
    environment: dict[str, Any] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)
    """In which ways it was trained, where the contender chooses."""

    @property
    def milliseconds(self) -> float | None:
        return None if self.missing or not self.rounds else median(self.rounds)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "milliseconds": self.milliseconds}


def measure(work: Work, entries: Sequence[Entry], folder: Path, rounds: int, tell: Tell) -> list[Result]:
    """Start each contender and warm it up by one epoch, measure the rounds, then ask each for its accuracy."""
    with ExitStack() as running:
        pairs = [started(entry, work, folder, running, tell) for entry in entries]
        for number in range(rounds):
            for one, result in pairs:
                attempt(train, one, work, result)
            tell(f"{work.name}: round {number + 1} of {rounds}")
        for one, result in pairs:
            attempt(score, one, work, result)
    return [result for _, result in pairs]


def started(entry: Entry, work: Work, folder: Path, running: ExitStack, tell: Tell) -> tuple[Contestant, Result]:
    """A contender that has trained its first epoch, and will be ended whatever happens."""
    one, result = Contestant(entry, work, folder), Result(work.name, entry.name)
    running.callback(one.stop)
    attempt(warm_up, one, work, result)
    tell(f"{work.name}: {entry.name}: " + (result.missing or f"first {result.first:,.2f} ms"))
    return one, result


def attempt(action: Callable[[Contestant, Work, Result], None], one: Contestant, work: Work, result: Result) -> None:
    """Do it, unless the contender is missing or turns out to be."""
    if result.missing is None:
        try:
            action(one, work, result)
        except Missing as reason:
            result.missing = str(reason)


def warm_up(one: Contestant, work: Work, result: Result) -> None:
    """The first epoch, with compilation and first touches of memory but without imports; then some that don't count."""
    said = one.started()
    result.loaded_mb, result.environment = said.pop("loaded_mb"), said
    answer = one.ask("epochs 1")
    result.first = work.milliseconds(answer["seconds"])
    result.losses.append(answer["loss"])
    if work.warm:
        one.ask(f"epochs {work.warm}")


def train(one: Contestant, work: Work, result: Result) -> None:
    """One round's turn."""
    sleep(PAUSE)
    answer = one.ask(f"epochs {work.repeat}")
    result.rounds.append(work.milliseconds(answer["seconds"]))
    result.losses.append(answer["loss"])
    result.peak_mb = answer["peak_mb"]


def score(one: Contestant, work: Work, result: Result) -> None:
    """Accuracy after all rounds, and in which ways it was trained."""
    answer = one.ask("accuracy")
    result.accuracy, result.kinds = answer["accuracy"], answer["kinds"]
