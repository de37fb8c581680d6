"""The tables: times, accuracy, first epoch and memory of every contender at every work, and the ratios wanted."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from measuring import Result
from targets import TARGETS, measured
from works import Work

BEHIND = 0.03
"""How far below the median accuracy of a work a contender may end: seeds differ by less than 0.01."""


def marks(work: Work, results: Sequence[Result]) -> dict[str, str]:
    """For each contender of a work that wasn't trained right, what is wrong."""
    scored = {r.contender: r.accuracy for r in results if r.work == work.name and r.accuracy is not None}
    least = max(work.accuracy, median(scored.values()) - BEHIND) if scored else 0.0
    return {name: "**not trained right**" for name, accuracy in scored.items() if accuracy < least}


def markdown(works: Sequence[Work], results: Sequence[Result], machine: dict[str, Any]) -> str:
    """The whole report."""
    parts = [heading(machine)]
    for work in works:
        parts += [f"## {work.name}: {describe(work)}", work_table(work, results)]
    parts += ["## Ratios wanted", ratio_table(results)]
    return "\n\n".join(parts) + "\n"


def heading(machine: dict[str, Any]) -> str:
    """What was run where."""
    variables = ", ".join(f"{name}={value}" for name, value in machine["variables"].items()) or "none"
    facts = (
        f"{machine['processor']}, {machine['processors']} processors; {machine['date']}; {machine['rounds']} rounds; "
        f"load before: {machine['load']}",
        f"NumPy's BLAS kernels by default: {machine['default_kernels']}; variables for BLAS and threads: {variables}",
        ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
    )
    return "# portable_bp beside its peers\n\n" + "  \n".join(facts)


def describe(work: Work) -> str:
    """The work in words."""
    net = "-".join(str(n) for n in work.widths)
    if work.networks:
        return f"{work.networks:,} networks {net} at once, full batch, ms {work.timed}"
    data = "full batch" if work.steps else f"{work.rows:,} images, batch {work.batch:,}"
    return f"{net}, {data}, ms for {work.timed}" if work.steps else f"{net}, {data}, ms {work.timed}"


def work_table(work: Work, results: Sequence[Result]) -> str:
    """One row a contender, the fastest first, the missing last."""
    rows = sorted((r for r in results if r.work == work.name), key=lambda r: (r.milliseconds is None, r.milliseconds))
    wrong = marks(work, results)
    lines = ["| contender | ms | of the rounds | first | accuracy | peak MB | |", "|---|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(row(result, wrong.get(result.contender, "")) for result in rows)])


def row(result: Result, mark: str) -> str:
    """A contender's line; the last column says what is wrong, and in which ways it trained, where it chose."""
    if result.milliseconds is None or result.accuracy is None:
        return f"| {result.contender} | – | – | – | – | – | missing: {(result.missing or '').replace('|', '/')} |"
    span = f"{number(min(result.rounds))}–{number(max(result.rounds))}"
    times = f"{number(result.milliseconds)} | {span} | {number(result.first)}"
    words = " ".join([mark, *result.kinds]).strip()
    return f"| {result.contender} | {times} | {result.accuracy:.4f} | {result.peak_mb:,.0f} | {words} |"


def number(value: float | None) -> str:
    """Three or more digits that say something."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio_table(results: Sequence[Result]) -> str:
    """Each target with what was measured, the pairs of each round divided first."""
    lines = ["| ours ÷ peer | work | measured | of the rounds | must | aim | |", "|---|---|---|---|---|---|---|"]
    for target in TARGETS:
        found = measured(target, results)
        if found is None:
            lines.append(f"| {target.ours} ÷ {target.peer} | {target.work} | – | – | {target.must} | {target.aim} | |")
            continue
        ours, every = found
        value = median(every)
        reached = "aim" if value <= target.aim else "must" if value <= target.must else "**missed**"
        words = f"{ours.contender} ÷ {target.peer} | {target.work} | {value:.2f} | {every[0]:.2f}–{every[-1]:.2f}"
        lines.append(f"| {words} | {target.must} | {target.aim} | {reached} |")
    return "\n".join(lines)
