"""``portable-bp sweep``: many training runs of one definition, and one table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portable_bp.arguments import whole_number
from portable_bp.cli.printing import as_json, print_table
from portable_bp.errors import ConfigurationError

if TYPE_CHECKING:
    from portable_bp.sweeping.sweep import Results

BEST = 10
"""Points in the summary."""


def sweep(
    file: Annotated[Path, typer.Argument(help="A Weights & Biases sweep file; its parameters are options of train.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the results. [default: sweeps/NAME-OF-FILE]")] = None,
    jobs: Annotated[int, typer.Option(help="Processes that share the runs.")] = 1,
    batch: Annotated[bool, typer.Option(help="Train runs together, as one population, where they allow it.")] = True,
    runs: Annotated[int | None, typer.Option(help="Number of runs, in place of the file's run_cap.")] = None,
    sweep_seed: Annotated[int, typer.Option(help="Decides the points of a random search.")] = 0,
    dataset: Annotated[str | None, typer.Option(help="Of all runs, where the file names none.")] = None,
    backend: Annotated[str | None, typer.Option(help="Of all runs. [default: numpy]")] = None,
    data: Annotated[str | None, typer.Option(help="Folder with the four IDX files of an image set.")] = None,
    fixed: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE, any option of train for all runs; may be repeated.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask before more than 10,000 runs.")] = False,
    table: Annotated[
        Path | None, typer.Option(help="At the end write the rows to a Parquet file of this name.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Train at every point of a sweep; the same command goes on where it was stopped.

    sweep.json, results.csv (a row a run), epochs.csv and figures go to a folder of their own.
    """
    # Imported here: sweeps stand on the options of train, which this package defines.
    from portable_bp.sweeping.definition import read_definition
    from portable_bp.sweeping.figures import draw
    from portable_bp.sweeping.progress import bar, lines, show_on_terminal, silence
    from portable_bp.sweeping.sweep import Sweep, approve, require_parquet, with_cap

    if table is not None:
        require_parquet(table)
    whole_number("jobs", jobs, 1)
    named = {"dataset": dataset, "backend": backend, "data": data}
    options = {**_pairs(fixed or []), **{name: value for name, value in named.items() if value is not None}}
    definition = with_cap(read_definition(file, options, sweep_seed), runs)
    folder = out or Path("sweeps", file.stem)
    made = Sweep(definition)
    if not json and definition.ignored:
        print(f"ignored, for they are for Weights & Biases: {', '.join(definition.ignored)}")
    progress = silence if json else bar if show_on_terminal() else lines
    try:
        results = made.carry_out(folder, jobs, approve if yes else _ask, progress, batch=batch)
    except KeyboardInterrupt:
        print(
            f"portable-bp: interrupted: the runs that ended are in {folder}; the same command goes on", file=sys.stderr
        )
        raise typer.Exit(130) from None
    drawn = draw(results, definition, folder)
    if table is not None:
        results.to_parquet(table)
    if json:
        print(as_json(report(results, folder, drawn)))
    else:
        show(results, folder, drawn)


def _pairs(texts: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE, the value as YAML reads it."""
    found = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise ConfigurationError(f"--set {text!r}: write NAME=VALUE, such as activation=sigmoid")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "null": None}
    return words.get(text, text)


def _ask(what: str) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigurationError(f"{what}: write fewer values or a run_cap, or give --yes")
    if not typer.confirm(f"{what}. Go on?", err=True):
        raise ConfigurationError("not gone on with: write fewer values or a run_cap")


def report(results: Results, folder: Path, drawn: Sequence[str]) -> dict[str, Any]:
    """What `--json` prints."""
    metric = {"name": results.metric.name, "goal": "maximize" if results.metric.rises else "minimize"}
    files = ["sweep.json", "results.csv", "epochs.csv", *drawn]
    points = [point.as_dict() for point in results.points()]
    counts = {"runs": len(results), "batched": results.batched}
    return {**counts, "metric": metric, "points": points, "folder": str(folder), "files": files}


def show(results: Results, folder: Path, drawn: Sequence[str]) -> None:
    """Print the best points, what failed, and where everything is."""
    from portable_bp.sweeping.progress import plain

    points, word = results.points(), results.metric.name.replace("_", " ")
    print_table(
        [*results.names, "runs", "finished", f"mean {word}", "spread"],
        (
            [*(plain(value) for value in point.values.values()), str(len(point.runs)), str(len(point.figures)),
             *("-" if figure is None else plain(figure) for figure in (point.mean, point.spread))]
            for point in points[:BEST]
        ),
    )  # fmt: skip
    if len(points) > BEST:
        print(f"the best {BEST} of {len(points)} points")
    for status in ("diverged", "refused"):
        failed = [row for row in results if row["status"] == status]
        if failed:
            first = failed[0]
            print(f"{len(failed)} of {len(results)} runs {status}; the first, run {first['run']}: {first['reason']}")
    missing = [] if drawn else ["no figures: pip install 'portable-bp[plot]'"]
    together = [f"{results.batched} of {len(results)} runs were trained together"] if results.batched else []
    print(*missing, *together, f"results in {folder}", sep="\n")
