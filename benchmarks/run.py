"""portable_bp beside its peers: time, accuracy and memory of the same trainings, one process a contender.

    python benchmarks/run.py [--works seed,small] [--contenders numpy,JAX] [--rounds 5] [--gpu] [--growth]

Writes results.md, results.json and results.png into --out. What is fair and what isn't: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import growth
from contenders import Entry, entries
from machine import better_core, machine
from measuring import Result, measure
from mnist import Mnist
from problem import write
from report import markdown
from works import WORKS, Work, sized

import portable_bp as bp

HERE = Path(__file__).parent


class Refused(Exception):
    """An option that can't be obeyed, and what can be."""


class Parser(argparse.ArgumentParser):
    """Refuses in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"benchmarks/run.py: {message}", file=sys.stderr)
        sys.exit(2)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def arguments() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", help=f"of {','.join(WORKS)}; without it all that this machine can do in minutes")
    parser.add_argument("--contenders", help="names or parts of names, with commas; without it all")
    parser.add_argument("--rounds", type=positive, default=5, help="measured epochs of each, after a first one")
    parser.add_argument("--gpu", action="store_true", help="the contenders on the GPU too, and the work wide")
    parser.add_argument("--growth", action="store_true", help="time and memory against width, batch and images instead")
    parser.add_argument("--images", type=positive, help="at most so many images, for a quick look")
    parser.add_argument("--steps", type=positive, help="so many steps of tiny and population, for a quick look")
    parser.add_argument("--data", type=Path, default=HERE.parent / "examples/data/mnist", help="MNIST's four IDX files")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the results")
    return parser.parse_args()


def chosen_works(options: argparse.Namespace) -> list[Work]:
    """The works named, or all but those that only a GPU does in minutes."""
    able = [work.name for work in WORKS.values() if options.gpu or not work.gpu_only]
    names = options.works.split(",") if options.works else able
    for name in names:
        if name not in WORKS:
            raise Refused(f"there is no work {name!r}; there are {', '.join(WORKS)}")
    return [sized(WORKS[name], options.gpu, options.images, options.steps) for name in dict.fromkeys(names)]


def chosen_contenders(options: argparse.Namespace, default: str | None = None) -> list[Entry]:
    """The contenders that --contenders names."""
    found, named = entries(options.gpu, better_core()), options.contenders or default
    kept = found if named is None else [entry for part in named.split(",") for entry in called(part.strip(), found)]
    return [entry for entry in found if entry in kept]


def called(part: str, found: Sequence[Entry]) -> list[Entry]:
    """The contender of this whole name, else all whose names hold it, in any case of letters."""
    exact = [entry for entry in found if entry.name == part]
    matching = exact or [entry for entry in found if part and part.lower() in entry.name.lower()]
    if not matching:
        names = ", ".join(dict.fromkeys(entry.name for entry in found))
        raise Refused(f"no contender is called {part!r}; there are {names} (those on a GPU only with --gpu)")
    return matching


def at(work: Work, contenders: Sequence[Entry], named: bool) -> list[Entry]:
    """Who takes part in a work; a CPU does `wide` for minutes an epoch, so only where it is named."""
    able = [entry for entry in contenders if work.name in entry.works]
    return [entry for entry in able if named or entry.on_gpu or not work.gpu_only]


def tell(line: str) -> None:
    """Say how far it is, on stderr."""
    print(line, file=sys.stderr, flush=True)


def run(options: argparse.Namespace, works: Sequence[Work], contenders: Sequence[Entry]) -> list[Result]:
    """Measure all works."""
    mnist, results = Mnist(options.data), []
    with TemporaryDirectory() as place:
        if any(work.softmax for work in works):
            mnist.write_test(Path(place))
        for work in works:
            write(work, mnist.train, Path(place) / work.name)
            taking_part = at(work, contenders, bool(options.works))
            results += measure(work, taking_part, Path(place) / work.name, options.rounds, tell)
    return results


def save(out: Path, name: str, text: str, report: dict[str, Any]) -> None:
    """Write the tables and the numbers, and print the tables."""
    (out / f"{name}.md").write_text(text)
    (out / f"{name}.json").write_text(json.dumps(report, indent=1))
    print(text)


def draw(drawing: str, path: Path, *data: Any) -> None:
    """A picture, where matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        tell(f"no {path.name}: matplotlib is not installed")
        return
    import picture

    getattr(picture, drawing)(*data, path)


def main() -> None:
    options = arguments()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        if options.growth:
            return measure_growth(options)
        works, contenders, about = chosen_works(options), chosen_contenders(options), machine(options.rounds)
        results = run(options, works, contenders)
    except (Refused, OSError, bp.PortableBPError) as error:
        print(f"benchmarks/run.py: {error}", file=sys.stderr)
        sys.exit(2)
    report = {"machine": about, "works": [w.as_json() for w in works], "results": [r.as_json() for r in results]}
    save(options.out, "results", markdown(works, results, about), report)
    draw("bars", options.out / "results.png", works, results)


def measure_growth(options: argparse.Namespace) -> None:
    """The curves, of portable_bp on NumPy unless others are named."""
    contenders = [e for e in chosen_contenders(options, "portable_bp numpy") if "small" in e.works]
    about = machine(options.rounds)
    found = growth.grow(contenders, Mnist(options.data), options.images, options.rounds, tell)
    text = f"# How an epoch grows\n\n{growth.table(found)}\n"
    save(options.out, "growth", text, {"machine": about, "points": found})
    draw("curves", options.out / "growth.png", found)


if __name__ == "__main__":
    main()
