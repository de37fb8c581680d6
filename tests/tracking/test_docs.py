"""The page on tracking runs as pasted and prints what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text()
FILES, LIBRARIES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PRINTED = "".join(re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL))


def output(program, folder):
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_code_for_files_prints_what_the_page_says(tmp_path):
    assert output(FILES, tmp_path) == PRINTED


def test_the_code_for_tensorboard_and_wandb_runs_behind_it(tmp_path):
    for library in ("tensorboardX", "wandb.sdk"):
        pytest.importorskip(library, reason=f"{library} isn't installed")
    assert output(FILES + LIBRARIES, tmp_path) == PRINTED
    assert len(list(tmp_path.glob("runs/iris/events.out.tfevents.*"))) == 1
    assert len(list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))) == 1
