"""A folder belongs to one process at a time, and nobody waits for one that is gone."""

import os
import subprocess
import sys

import pytest

from portable_bp import locking
from portable_bp.errors import FileError

HOLD = "import sys, pathlib\nfrom portable_bp.locking import locked\nwith locked(pathlib.Path(sys.argv[1])):\n"
HOLD += "    print('held', flush=True)\n    sys.stdin.read()"


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_that_another_process_holds_is_refused_and_the_process_named(holder, tmp_path):
    with (
        pytest.raises(FileError, match=f"^process {holder.pid} is at work in .*: wait for it, or name another folder$"),
        locking.locked(tmp_path),
    ):
        pass
    holder.communicate("")
    with locking.locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_leaves_blocks_nobody(holder, tmp_path):
    holder.kill()
    holder.communicate()
    assert (tmp_path / ".lock").read_text() == str(holder.pid)
    with locking.locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_a_lock_that_its_holder_takes_away_meanwhile_is_not_taken_for_one(tmp_path, monkeypatch):
    real = locking._lock
    seen = []

    def late(handle, folder):
        real(handle, folder)
        if not seen:
            (tmp_path / ".lock").unlink()  # as its last holder does between our opening it and our locking it
        seen.append(handle)

    monkeypatch.setattr(locking, "_lock", late)
    with locking.locked(tmp_path):
        assert len(seen) == 2
        assert (tmp_path / ".lock").exists()


def test_the_lock_is_given_free_when_the_work_fails(tmp_path):
    with pytest.raises(RuntimeError), locking.locked(tmp_path):
        raise RuntimeError
    with locking.locked(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    said = r"can't write to .* \(No such file or directory\): name a folder"
    with pytest.raises(FileError, match=said), locking.locked(tmp_path / "nowhere"):
        pass


@pytest.mark.parametrize("content", ["somebody's", None], ids=["a file", "nothing"])
def test_a_link_in_the_lock_s_place_is_refused_and_nothing_is_written_through_it(content, tmp_path):
    (tmp_path / "folder").mkdir()
    if content:
        (tmp_path / "other").write_text(content)
    (tmp_path / "folder/.lock").symlink_to(tmp_path / "other")
    with pytest.raises(FileError, match=r"symbolic link to .*other"), locking.locked(tmp_path / "folder"):
        pass
    assert not content or (tmp_path / "other").read_text() == content
    assert (tmp_path / "other").exists() == (content is not None)
