"""Where a published dataset's files are looked for: a folder, then the cache, then its mirrors."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten

from portable_bp.errors import FileError

CACHE_VARIABLE = "PORTABLE_BP_CACHE"
TIMEOUT = 30  # seconds without an answer before the next mirror is tried
CAUSES = 80  # characters; with the longest cure and file name the error stays below 300
CHUNK = 1 << 16  # bytes written at a time; pooch's own 1,024 makes 26,000 writes of Fashion-MNIST


@dataclass(frozen=True)
class Source:
    """A published dataset: mirrors in the order tried, and the SHA-256 of each `<name>.gz`.

    example: a folder to name in the cure when no mirror answers.
    """

    name: str
    mirrors: tuple[str, ...]
    sha256: Mapping[str, str]
    example: str


def locate(source: Source, folder: str | os.PathLike[str] | None = None) -> list[Path]:
    """The paths of the source's files, in the order of `source.sha256`, each raw or `.gz`.

    A given folder must hold them all: nothing is downloaded then. Otherwise what the cache lacks is
    downloaded into it, and kept only if its SHA-256 is right.
    FileError: the folder lacks a file, or no mirror delivers it.
    """
    if folder is not None:
        return _in_folder(source, Path(folder))
    cache = cache_folder() / source.name
    return [_present(cache, file) or _download(source, file, cache) for file in source.sha256]


def cache_folder() -> Path:
    """The folder of $PORTABLE_BP_CACHE if that is set, else the operating system's cache folder."""
    import pooch

    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("portable_bp"))


def _present(folder: Path, file: str) -> Path | None:
    candidates = (folder / file, folder / f"{file}.gz")
    return next((path for path in candidates if os.path.isfile(path)), None)


def _in_folder(source: Source, folder: Path) -> list[Path]:
    found = {file: _present(folder, file) for file in source.sha256}
    missing = [file for file, path in found.items() if path is None]
    if missing:
        raise FileError(
            f"the folder {str(folder)!r} lacks {', '.join(missing)}: {source.name} needs the files "
            f"{', '.join(source.sha256)}, raw or .gz; give the folder that holds them, for example "
            f"{source.example}"
        )
    return [path for path in found.values() if path is not None]


def _download(source: Source, file: str, cache: Path) -> Path:
    failures = []
    for mirror in source.mirrors:
        try:
            return _retrieve(mirror + file + ".gz", source.sha256[file], cache)
        except (
            OSError,
            ValueError,
        ) as error:  # requests' errors are OSErrors, a wrong hash a ValueError
            failures.append(_cause(error))
    said = shorten("; ".join(dict.fromkeys(failures)), CAUSES, placeholder=" …")
    raise FileError(
        f"give {source.name}'s folder (--data, or the argument folder), for example {source.example}: "
        f"{file}.gz couldn't be downloaded ({said})"
    )


def _cause(error: BaseException) -> str:
    """The innermost error's own words: requests and urllib3 wrap "Name or service not known" in 400 characters."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.strerror}: {error.filename}"
    return str(error).partition(" for url")[0].partition(": expected")[0]


def _retrieve(url: str, sha256: str, cache: Path) -> Path:
    import pooch

    has_tqdm = find_spec("tqdm") is not None
    if not has_tqdm:
        print(f"portable_bp: downloading {url} to {cache}", file=sys.stderr)
    downloader = pooch.HTTPDownloader(progressbar=has_tqdm, chunk_size=CHUNK, timeout=TIMEOUT)
    name = url.rpartition("/")[2]
    with _only_warnings(pooch.get_logger()):
        return Path(pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=cache, downloader=downloader))


@contextmanager
def _only_warnings(logger: logging.Logger) -> Iterator[None]:
    """Without pooch's note on every file; what it says to other programs stays as it was."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
