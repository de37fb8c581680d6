"""Files written whole or not at all, and never through a symbolic link.

A whole file takes the place of a link; what grows line by line refuses one: else a link that somebody left in a folder
would turn a write there into one into a file elsewhere.
"""

import os
import tempfile
from errno import EINVAL, ELOOP
from pathlib import Path

from portable_bp.errors import FileError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, wait until it is on the disk, rename it, and wait for that too."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except (OSError, ValueError) as error:
        raise FileError(
            f"can't write {str(path)!r} ({getattr(error, 'strerror', error)}): name a folder that is there and writable"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        _sync(path.parent)
    except OSError as error:
        raise FileError(
            f"can't write {str(path)!r} ({error.strerror}): make room or name another file; nothing was changed there"
        ) from error
    finally:
        Path(temporary).unlink(missing_ok=True)  # renamed already where all went well


def require_growable(path: Path) -> None:
    """Refuse, by an OSError, to append to a symbolic link to a file or to nothing, and to a pipe, which may block.

    A link to a device such as /dev/stderr may stay.
    """
    if path.is_fifo():
        raise OSError(EINVAL, "it is a pipe, which may wait for ever for its reader")
    if path.is_symlink() and (path.is_file() or not path.exists()):
        raise OSError(ELOOP, f"it is a symbolic link to {os.readlink(path)!r}, through which nothing is written")


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can open a folder."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # not on Windows, nor in a folder that may be written into and not read
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != EINVAL:  # a file system that syncs no folders
            raise
    finally:
        os.close(handle)
