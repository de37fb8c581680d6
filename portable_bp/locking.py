"""One process at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portable_bp.errors import FileError
from portable_bp.writing import require_growable

LOCK = ".lock"
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""The number of the process is written into the file, and so not through a link to another one."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; FileError where another one holds it, named by its number.

    The system gives the lock free when its process ends, however it ends: what SIGKILL leaves blocks nobody. Without
    effect on systems and file systems that lack POSIX locks.
    """
    handle = _taken(folder / LOCK, folder)
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)  # still held: who opens it now finds it gone once it is given free
        os.close(handle)


def _taken(path: Path, folder: Path) -> int:
    while True:
        try:
            require_growable(path)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o644)
        except OSError as error:
            raise FileError(
                f"can't write to {str(folder)!r} ({error.strerror}): name a folder that is there and writable"
            ) from error
        try:
            _lock(handle, folder)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):  # else its last holder took it away
                os.write(handle, str(os.getpid()).encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(handle, 20).decode(errors="replace") or "another one"
        raise FileError(
            f"process {holder} is at work in {str(folder)!r}: wait for it, or name another folder"
        ) from error
    except OSError:  # a file system without locks
        return
    os.ftruncate(handle, 0)
