"""How time and memory of an epoch grow with width, batch and number of images; each point in a fresh process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

from contenders import Entry
from measuring import measure
from mnist import Mnist
from problem import write
from works import Work

CENTRE = Work("growth", "mnist", (784, 128, 10), 15_000, 128)
WIDTHS, BATCHES, IMAGES = (16, 64, 256, 1_024), (16, 64, 256, 1_024), (3_000, 7_500, 15_000, 30_000, 60_000)


def points(most: int | None) -> Iterator[tuple[str, int, Work]]:
    """What grows, its value and the work, all around 784-128-10 with 15,000 images, or ``most`` for a quick look."""
    centre = replace(CENTRE, rows=min(CENTRE.rows, most or CENTRE.rows))
    for width in WIDTHS:
        yield "width", width, replace(centre, widths=(784, width, 10))
    for batch in BATCHES:
        yield "batch", batch, replace(centre, batch=min(batch, centre.rows))
    for images in IMAGES:
        if most is None or images <= most:
            yield "images", images, replace(centre, rows=images)


def grow(
    entries: Sequence[Entry], mnist: Mnist, most: int | None, rounds: int, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure each point of each contender alone."""
    found = []
    with TemporaryDirectory() as place:
        mnist.write_test(Path(place))
        for grows, value, work in points(most):
            folder = Path(place) / f"{grows}-{value}"
            write(work, mnist.train, folder)
            for entry in entries:
                (result,) = measure(work, [entry], folder, rounds, lambda _: None)
                found.append({"grows": grows, "value": value, **result.as_json()})
                tell(line(found[-1]))
            rmtree(folder)
    return found


def line(point: dict[str, Any]) -> str:
    """A point in words."""
    what = f"{point['grows']} {point['value']:,}: {point['contender']}: "
    if point["missing"]:
        return what + point["missing"]
    return what + f"{point['milliseconds']:,.1f} ms, {point['peak_mb']:,.0f} MB"


def table(found: Sequence[dict[str, Any]]) -> str:
    """One row a point."""
    lines = [
        "| grows | value | contender | ms an epoch | peak MB | of it before training |",
        "|---|---|---|---|---|---|",
    ]
    for point in found:
        where = f"{point['grows']} | {point['value']:,} | {point['contender']}"
        if point["missing"]:
            lines.append(f"| {where} | missing: {point['missing']} | | |")
        else:
            memory = f"{point['peak_mb']:,.0f} | {point['loaded_mb']:,.0f}"
            lines.append(f"| {where} | {point['milliseconds']:,.1f} | {memory} |")
    return "\n".join(lines)
