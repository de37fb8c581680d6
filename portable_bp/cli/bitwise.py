"""The golden trainings on every backend of this machine, and the digests of their parameters side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from portable_bp.backend import Backend, get_backend, installed_backends
from portable_bp.checking import golden
from portable_bp.cli.printing import print_table, working
from portable_bp.datasets.fetch import locate
from portable_bp.datasets.mnist import MNIST
from portable_bp.errors import BackendError
from portable_bp.reproducible import with_arithmetic

REFERENCE = "numpy"
HERE = Path("examples/data/mnist")
"""Where a checkout has MNIST's files."""
SHOWN = 16
"""Hexadecimal digits of a digest in the table; the rest is in the JSON."""

Result = dict[str, Any]


def compare_digests(named: Sequence[str] | None, data: Path | None) -> Result:
    """Run the golden trainings on the backends named, or on all that can run, and compare the digests.

    The keys: ok; trainings, one dict each; left_out, the trainings without data; unable, messages by backend.
    """
    able, unable = backends(named)
    folder = data or (HERE if HERE.is_dir() else None)
    if folder is not None:
        locate(MNIST, folder)  # refuses a folder that lacks a file now, and not after the first trainings
    left_out = [name for name, training in golden.TRAININGS.items() if training.data == "mnist" and folder is None]
    wanted = [name for name in golden.TRAININGS if name not in left_out] if able else []
    trainings = [compare(name, able, folder) for name in wanted]
    ok = all(training["ok"] for training in trainings) and not (named and unable)
    return {"ok": ok, "trainings": trainings, "left_out": left_out, "unable": unable}


def backends(named: Sequence[str] | None) -> tuple[dict[str, Backend], dict[str, str]]:
    """The backends that can run, by their full names, and the messages of those that can't."""
    able: dict[str, Backend] = {}
    unable: dict[str, str] = {}
    for spec in sorted(installed_backends()) if named is None else named:
        try:
            backend = with_arithmetic(get_backend(spec), "reproducible")
            able[backend.spec] = backend
        except BackendError as error:
            unable[spec] = str(error)
    return able, unable


def compare(name: str, able: Mapping[str, Backend], folder: Path | None) -> Result:
    """One training: its digests by backend, whether they agree, and whether they are the golden one.

    ``agree`` is None with one backend alone, ``equals_golden`` where no golden digest is known.
    """
    training, known = golden.TRAININGS[name], golden.GOLDEN.get(name)
    digests = {}
    for spec, backend in able.items():
        with working(f"{name}, on {spec}"):
            digests[spec] = training.digest(backend, folder)
    found = set(digests.values())
    agree = len(found) == 1 if len(digests) > 1 else None
    equals = None if known is None else found == {known}
    return {
        "training": name,
        "ok": agree is not False and equals is not False,
        "digests": digests,
        "agree": agree,
        "golden": known,
        "equals_golden": equals,
        "first_differences": _first_differences(training, digests, able, folder),
    }


def _first_differences(
    training: golden.Training, digests: Mapping[str, str], able: Mapping[str, Backend], folder: Path | None
) -> dict[str, str]:
    """Step and array in which each backend first differs from the reference, where it does."""
    reference = REFERENCE if REFERENCE in able else next(iter(able))
    found = {}
    for spec, digest in digests.items():
        if digest != digests[reference]:
            place = golden.first_difference(training, able[spec], able[reference], folder)
            found[spec] = f"against {reference}, " + (place or "no single step differs: compiled epochs do")
    return found


def show(report: Result, named: bool) -> None:
    """Print the table, what differs, what couldn't run, and the verdict."""
    rows = report["trainings"]
    if rows:
        specs = list(rows[0]["digests"])
        print_table(["training", *specs, "agree", "golden"], (_cells(row) for row in rows))
    for row in rows:
        for spec, place in row["first_differences"].items():
            print(f"{row['training']}: {spec} {place}")
        if row["equals_golden"] is False:
            print(f"{row['training']}: the golden digest is {row['golden'][:SHOWN]}")
    if report["left_out"]:
        print(f"left out for lack of MNIST's files (give --data FOLDER): {'; '.join(report['left_out'])}")
    for spec, message in report["unable"].items():
        print(f"{spec}: {message}")
    print(verdict(report, named))


def _cells(row: Result) -> list[str]:
    words = {True: "yes", False: "NO", None: "-"}
    digests = [digest[:SHOWN] for digest in row["digests"].values()]
    return [row["training"], *digests, words[row["agree"]], words[row["equals_golden"]]]


def verdict(report: Result, named: bool) -> str:
    """What the digests say, in one line."""
    if not report["ok"]:
        return "FAILED"
    rows = report["trainings"]
    said = {"agree": "agree with each other", "equals_golden": "equal the golden ones"}
    true = [words for key, words in said.items() if rows and all(row[key] for row in rows)]
    if true:
        return f"all digests {' and '.join(true)}"
    alone = " ".join(rows[0]["digests"]) if rows else "no backend"
    return (
        f"only {alone} {'was named' if named else 'can run here'}: "
        "nothing to compare with here; hold these digests to another machine's"
    )
