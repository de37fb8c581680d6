"""The benchmark of data's places and forms on little work: what it prints, and that it compares equal trainings."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MNIST = BENCHMARKS.parent / "examples/data/mnist"


@pytest.mark.skipif(not MNIST.is_dir(), reason="clone the repository: its examples/data/mnist holds the real files")
def test_a_row_for_every_way_and_the_same_bits():
    options = ["--data", MNIST, "--images", "300", "--epochs", "1", "--widths", "4"]
    command = [sys.executable, BENCHMARKS / "data.py", *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()]
    assert header == ["width", "precision", "inputs", "where", "ms an epoch", "ratio"]
    ways = [("float32", "on the device"), ("float32", "fed"), ("bytes", "on the device"), ("bytes", "fed")]
    assert [(row[2], row[3]) for row in rows] == ways
    assert rows[0][5] == "1.00"
    assert all(float(row[4]) > 0 for row in rows)
