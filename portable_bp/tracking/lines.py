"""Text files that grow by whole lines, each handed to the system at once, so that a killed process loses none."""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import Any

from portable_bp.errors import ConfigurationError, FileError
from portable_bp.writing import require_growable


class Lines:
    """A file to append lines to while it is open; one that is there already is refused, unless ``append``."""

    def __init__(self, path: Path, append: bool) -> None:
        self.path, self.append = path, append
        self._file: FileIO | None = None

    @property
    def size(self) -> int:
        """Bytes of the file that is open."""
        assert self._file is not None, "open() comes first"
        return self._file.seek(0, 2)

    def forget(self) -> None:
        """Take the file away, unless it may hold lines of others."""
        if not self.append:
            self.path.unlink(missing_ok=True)

    def open_again(self, size: int) -> None:
        """Open the file as it was when it had ``size`` bytes; what was appended to it later is taken away."""
        try:
            require_growable(self.path)
            self._file = FileIO(str(self.path), "r+")
            there = self.size
            self._file.truncate(min(there, size))
        except OSError as error:
            raise self._refusal(error, "a resumed fit adds its lines to this file, bring it back") from error
        if there < size:
            raise FileError(
                f"{str(self.path)!r} has {there} bytes and had {size} when the checkpoint was made: bring it back"
            )
        self._file.seek(size)

    def open(self) -> bytes:
        """Open the file, and give the first line of what it holds, or nothing."""
        self.require_free()
        try:
            require_growable(self.path)
            first, ends = _first_and_end(self.path) if self.append and self.path.is_file() else (b"", True)
            if ends:
                self._file = FileIO(str(self.path), "a" if self.append else "x")
        except (OSError, ValueError) as error:
            raise self._refusal(error, "name a file in a folder that is there and writable") from error
        if not ends:
            raise FileError(f"{str(self.path)!r} ends in the middle of a line: take that line out or name another file")
        return first

    def require_free(self) -> None:
        """Refuse a file that is there already, unless lines are to be appended to it."""
        try:
            taken = not self.append and self.path.exists()
        except (OSError, ValueError) as error:
            raise self._refusal(error, "name a file in a folder that is there and writable") from error
        if taken:
            raise FileError(
                f"{str(self.path)!r} is there already: name another file, or go on behind its lines with append=True"
            )

    def write(self, line: str) -> None:
        """Hand a line, with its end, to the system."""
        assert self._file is not None, "open() comes first"
        rest = memoryview(line.encode())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._refusal(error, "make room or name another file") from error

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _refusal(self, error: Exception, cure: str) -> FileError:
        return FileError(f"can't write {str(self.path)!r} ({getattr(error, 'strerror', None) or error}): {cure}")


def _first_and_end(path: Path) -> tuple[bytes, bool]:
    """The first line of a file, at most a megabyte of it, and whether its last line is whole."""
    with path.open("rb") as file:
        first = file.readline(2**20)
        file.seek(0, 2)
        size = file.tell()
        file.seek(max(0, size - 1))
        return first, size == 0 or file.read() == b"\n"


def as_path(tracker: str, given: Any) -> Path:
    """The path given to a tracker; anything else is refused."""
    if not isinstance(given, (str, Path)) or not str(given):
        raise ConfigurationError(f"{tracker} got {given!r}: give the path of what it is to write, such as 'runs/first'")
    return Path(given)
