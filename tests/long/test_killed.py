"""Training processes that are killed at any moment, and on full or locked disks, end with the undisturbed digest.

The short forms run with all tests; the long ones, hundreds of kills, with ``pytest tests/long -m long``.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

COMMAND = "import sys; from portable_bp.cli import main; sys.exit(main())"
NETWORK = ("train", "iris", "--hidden", "64,64", "--dropout", "0.2", "--batch-size", "16", "--train-size", "60")
KEPT = ("--checkpoint-every", "1", "--track", "csv", "--output", "o", "--json")
TRAIN, SHORT, ENDLESS = ((*NETWORK, *KEPT, "--epochs", epochs) for epochs in ("40", "6", "1000000"))
RESUME = ("train", "--resume", "o", "--json")
UNDRAWN = "import portable_bp.cli.training_run as t; t.can_draw = lambda: False\n"
"""Drawing would take longer than the training."""


def process(folder, *arguments, program=COMMAND, **how):
    command = [sys.executable, "-c", UNDRAWN + program, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, **how)


def outcome(folder, *arguments, **how):
    """Status, stdout and stderr of a process that is left alone."""
    started = process(folder, *arguments, **how)
    stdout, stderr = started.communicate(timeout=300)
    return started.returncode, stdout, stderr


def rows(folder, name):
    return [line.rpartition(",")[0] for line in (folder / "o" / name).read_text().splitlines()]


def wait_for_epoch(epoch, running, folder):
    while max((folder / "o").glob("checkpoints/epoch-*.safetensors"), default=Path()).stem < f"epoch-{epoch:06}":
        assert running.poll() is None, running.communicate()
        time.sleep(0.005)


def killed_after_epoch(epoch, folder):
    running = process(folder, *TRAIN)
    wait_for_epoch(epoch, running, folder)
    running.kill()
    running.communicate()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Digest and history of the training that nobody disturbs, and the seconds that it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    begun = time.monotonic()
    status, stdout, stderr = outcome(folder, *TRAIN)
    assert (status, stderr) == (0, "")
    return json.loads(stdout)["digest"], rows(folder, "history.csv"), time.monotonic() - begun


def assert_as_undisturbed(folder, stdout, undisturbed):
    digest, history, _ = undisturbed
    assert json.loads(stdout)["digest"] == digest
    assert rows(folder, "history.csv") == rows(folder, "epochs.csv") == history
    assert {path.name for path in (folder / "o").iterdir()} == {
        *("checkpoints", "configuration.json", "model.safetensors", "history.csv"),
        *("epochs.csv", "epochs.configuration.jsonl"),
    }


def next_command(folder, begin=TRAIN):
    """Begin, or go on where there is a checkpoint; what a kill before the first one leaves is taken away."""
    if list((folder / "o/checkpoints").glob("epoch-*.safetensors")):
        return RESUME
    shutil.rmtree(folder / "o", ignore_errors=True)
    return begin


def survive(folder, kills, signals, undisturbed, generator):
    """Train over and over, ended ``kills`` times at random moments; what was met on the way."""
    met = Counter()
    while met["kills"] < kills or not met["finished"]:
        running = process(folder, *next_command(folder))
        try:
            stdout, stderr = running.communicate(timeout=generator.uniform(0.0, 1.3 * undisturbed[2]))
        except subprocess.TimeoutExpired:
            number = generator.choice(signals)
            running.send_signal(number)
            stdout, stderr = running.communicate(timeout=60)
            met["kills"] += 1
            met[number.name] += 1
            met["in the middle of a write"] += bool(list((folder / "o").rglob(".epoch-*.safetensors.*")))
            met["with results half in place"] += bool(list((folder / "o").glob(".unfinished-*")))
        assert "damaged" not in stderr, "what is renamed is whole"
        if running.returncode == 130:
            met["told how to resume"] += "--resume o`" in stderr
            assert stderr.count("\n") == 1
        if running.returncode == 0:
            met["finished"] += 1
            assert_as_undisturbed(folder, stdout, undisturbed)
            shutil.rmtree(folder / "o")
    return met


@pytest.mark.parametrize("kills", [6, pytest.param(300, marks=pytest.mark.long)])
def test_a_training_killed_at_random_moments_ends_as_the_undisturbed_one(kills, undisturbed, report, tmp_path):
    met = survive(tmp_path, kills, [signal.SIGKILL], undisturbed, random.Random(kills))
    assert met["kills"] >= kills
    report("killed at random moments", **met)


@pytest.mark.parametrize("ends", [3, pytest.param(150, marks=pytest.mark.long)])
def test_a_training_ended_by_any_signal_ends_as_the_undisturbed_one(ends, undisturbed, report, tmp_path):
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
    met = survive(tmp_path, ends, signals, undisturbed, random.Random(ends))
    assert met["kills"] >= ends
    report("ended by signals", **met)


DEADLY = """
import os, signal, tempfile
calls, (kind, when, deadly) = [], {place!r}

def counted(module, name):
    real = getattr(module, name)

    def call(*arguments, **more):
        mine = kind in (name, "any")
        calls.extend([name] * mine)
        its_turn = mine and len(calls) == deadly  # before others that it calls itself
        if its_turn and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return real(*arguments, **more)
        finally:
            if its_turn and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, name, call)

class Half:
    def __init__(self, file):
        self.file = file
    def __enter__(self):
        return self
    def __exit__(self, *error):
        self.file.close()
    def __getattr__(self, name):
        return getattr(self.file, name)
    def write(self, content):
        calls.append("write")
        if len(calls) == deadly:
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        self.file.write(content)

for module, name in ((tempfile, "mkstemp"), (os, "fsync"), (os, "replace"), (os, "unlink"), (os, "open")):
    counted(module, name)
if kind == "write":
    real = os.fdopen
    os.fdopen = lambda *arguments: Half(real(*arguments))
"""
PLACES = [("write", "half", 3), ("fsync", "before", 5), ("replace", "before", 3), ("replace", "after", 3)]
PLACES.append(("unlink", "before", 6))


def test_a_training_killed_anywhere_in_the_writing_of_a_checkpoint_goes_on(report, tmp_path):
    digest = json.loads(outcome(tmp_path, *SHORT)[1])["digest"]
    for place in PLACES:
        shutil.rmtree(tmp_path / "o")
        assert outcome(tmp_path, *SHORT, program=DEADLY.format(place=place) + COMMAND)[0] == -signal.SIGKILL, place
        status, stdout, stderr = outcome(tmp_path, *next_command(tmp_path, SHORT))
        assert (status, stderr) == (0, ""), place
        assert json.loads(stdout)["digest"] == digest, place
        assert not list((tmp_path / "o").rglob(".*")), place
    report("killed while writing", places=len(PLACES))


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_training_killed_at_every_call_that_changes_the_disk_goes_on(when, report, tmp_path):
    digest = json.loads(outcome(tmp_path, *SHORT)[1])["digest"]
    for number in range(1, 1000):
        shutil.rmtree(tmp_path / "o", ignore_errors=True)
        program = DEADLY.format(place=("any", when, number)) + COMMAND
        if outcome(tmp_path, *SHORT, program=program)[0] == 0:
            break
        status, stdout, stderr = outcome(tmp_path, *next_command(tmp_path, SHORT))
        assert status == 0, number
        assert stderr == "" or "this training has ended, complete after 6 epochs; nothing was left" in stderr, number
        assert json.loads(stdout)["digest"] == digest, number
    assert 50 < number < 999
    report(f"killed {when} every call that changes the disk", calls=number - 1)


# -- disks -------------------------------------------------------------------------------------------------------------


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))\n"
"""As a quota would: no file larger than this."""


def test_a_disk_without_room_ends_the_training_in_one_line_and_once_there_is_room_it_goes_on(undisturbed, tmp_path):
    killed_after_epoch(5, tmp_path)
    kept = max((tmp_path / "o/checkpoints").glob("epoch-*.safetensors"))
    program = LIMITED.format(kept.stat().st_size - 100) + COMMAND
    status, stdout, stderr = outcome(tmp_path, *RESUME, program=program)
    assert (status, stdout) == (2, "")
    assert "(File too large): make room or name another file; nothing was changed there" in stderr
    assert stderr.count("\n") == 1
    assert max((tmp_path / "o/checkpoints").glob("epoch-*.safetensors")) == kept
    assert not list((tmp_path / "o").rglob(".*"))
    status, stdout, stderr = outcome(tmp_path, *RESUME)
    assert (status, stderr) == (0, "")
    assert_as_undisturbed(tmp_path, stdout, undisturbed)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB, and how it grows."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        return done.returncode == 0

    if shutil.which("mount") is None or not mount("size=400k"):
        pytest.skip("this user may not mount a small file system")
    yield folder, lambda: mount("remount,size=9m")
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_ends_the_training_in_one_line_and_once_there_is_room_it_goes_on(small_disk, undisturbed):
    folder, grow = small_disk
    status, stdout, stderr = outcome(folder, *TRAIN, "--checkpoint-keep", "99")
    assert (status, stdout) == (2, "")
    assert "(No space left on device): make room" in stderr
    assert stderr.count("\n") == 1
    assert list((folder / "o/checkpoints").glob("epoch-*.safetensors"))
    assert grow()
    status, stdout, stderr = outcome(folder, *RESUME)
    assert (status, stderr) == (0, "")
    assert_as_undisturbed(folder, stdout, undisturbed)


AS_NOBODY = """
import contextlib, io, os
from portable_bp.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["train", "iris", "--epochs", "1", "--output", "warm", "--checkpoint-every", "1"])  # imports what it needs
    main(["train", "--resume", "warm"])
if os.geteuid() == 0:  # who may write everywhere
    os.seteuid(65534)
"""


def test_a_folder_that_can_t_be_written_is_refused_in_one_line_and_once_it_can_the_training_goes_on(undisturbed):
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = Path(name)
        folder.chmod(0o755)
        killed_after_epoch(5, folder)
        folders = [folder / "o", folder / "o/checkpoints"]
        for one in folders:
            one.chmod(0o555)
        before = sorted((folder / "o").rglob("*"))
        status, stdout, stderr = outcome(folder, *RESUME, program=AS_NOBODY + COMMAND)
        assert (status, stdout) == (2, "")
        assert stderr.splitlines()[-1].startswith("portable-bp: can't write to 'o' (Permission denied): name a folder")
        assert sorted((folder / "o").rglob("*")) == before
        for one in folders:
            one.chmod(0o755)
        status, stdout, stderr = outcome(folder, *RESUME)
        assert (status, stderr) == (0, "")
        assert_as_undisturbed(folder, stdout, undisturbed)


# -- two at once -------------------------------------------------------------------------------------------------------


def test_a_second_process_in_the_folder_is_refused_and_a_killed_one_blocks_nobody(undisturbed, tmp_path):
    first = process(tmp_path, *ENDLESS)
    wait_for_epoch(3, first, tmp_path)
    for second in (RESUME, TRAIN):
        status, stdout, stderr = outcome(tmp_path, *second)
        assert (status, stdout) == (2, "")
        assert stderr == f"portable-bp: process {first.pid} is at work in 'o': wait for it, or name another folder\n"
    first.kill()
    first.communicate()
    assert (tmp_path / "o/.lock").exists()
    status, _, stderr = outcome(tmp_path, *RESUME, "--epochs", "1")
    assert (status, "epochs=1" in stderr) == (2, True)  # it may read what the killed one left
