"""Files are taken from a folder, then the cache, then the mirrors; only unaltered ones are kept."""

import hashlib
import logging
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pooch
import pytest

from portable_bp.datasets import fetch
from portable_bp.datasets.fetch import Source, locate
from portable_bp.datasets.mnist import FASHION_MNIST, MNIST
from portable_bp.errors import FileError

CONTENT = {"images": b"\x1f\x8b the images", "labels": b"\x1f\x8b the labels"}


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, and remembers what was asked for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server on this machine: /right and /wrong hold the files, /none holds nothing."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name, data in CONTENT.items():
        for place, served in (("right", data), ("wrong", data + b"!")):
            path = tmp_path / "www" / place / f"{name}.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(served)
    handler = partial(Handler, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("PORTABLE_BP_CACHE", str(folder))
    monkeypatch.setattr(fetch, "find_spec", lambda name: None)  # as if tqdm were not installed
    return folder / "toy"


def source(*places, server=None):
    port = server.server_port if server else 1
    return Source(
        name="toy",
        mirrors=tuple(f"http://127.0.0.1:{port}/{place}/" for place in places),
        sha256={name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()},
        example="the toy box",
    )


MIRRORS = {
    "the first mirror answers": (["right", "none"], "right right"),
    "the first mirror lacks the files": (["none", "right"], "none right none right"),
    "the first mirror's files are altered": (["wrong", "right"], "wrong right wrong right"),
}


@pytest.mark.parametrize(("places", "asked"), MIRRORS.values(), ids=MIRRORS.keys())
def test_mirrors_are_tried_in_order_until_one_delivers(places, asked, server, cache):
    paths = locate(source(*places, server=server))
    assert paths == [cache / "images.gz", cache / "labels.gz"]
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert [path.split("/")[1] for path in server.asked] == asked.split()
    assert sorted(path.name for path in cache.iterdir()) == ["images.gz", "labels.gz"]


def test_a_wrong_hash_is_refused_and_leaves_nothing_in_the_cache(server, cache):
    with pytest.raises(
        FileError, match=r"images\.gz couldn't be downloaded \(SHA256 hash of .* does not match the known hash\)$"
    ):
        locate(source("wrong", server=server))
    assert list(cache.iterdir()) == []


def test_when_all_mirrors_fail_the_error_is_the_cure_and_then_each_cause(server, cache):
    with pytest.raises(FileError) as caught:
        locate(source("none", "wrong", "none", server=server))
    assert str(caught.value) == (
        "give toy's folder (--data, or the argument folder), for example the toy box: images.gz couldn't be "
        "downloaded (404 Client Error: File not found; SHA256 hash of downloaded file (images.gz) …)"
    )


def test_of_a_mirror_that_nobody_serves_only_the_innermost_cause_is_told_and_once(cache, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(FileError, match=r"images\.gz couldn't be downloaded \(Connection refused\)$"):
        locate(source("a", "b"))


@pytest.mark.parametrize("published", [MNIST, FASHION_MNIST], ids=lambda published: published.name)
@pytest.mark.parametrize("said", ["word " * 200, "x" * 1000, "several\nlines " * 50], ids=["long", "word", "lines"])
def test_the_error_is_one_line_of_less_than_300_characters_whatever_the_cause(published, said, cache, monkeypatch):
    def fail(*_):
        raise ValueError(said)

    monkeypatch.setattr(fetch, "_retrieve", fail)
    with pytest.raises(FileError) as caught:
        locate(published)
    message = str(caught.value)
    assert message.startswith(f"give {published.name}'s folder (--data, or the argument folder), for example ")
    assert published.example in message
    assert len(message) < 300
    assert "\n" not in message


def test_a_cache_that_can_not_be_written_is_a_file_error(server, cache):
    cache.parent.write_bytes(b"a file where the folder should be")
    with pytest.raises(FileError, match=r"couldn't be downloaded \((Not a directory|File exists)"):
        locate(source("right", server=server))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_the_cache_holds_is_not_downloaded_again(suffix, server, cache):
    cache.mkdir(parents=True)
    (cache / f"images{suffix}").write_bytes(b"here already")
    paths = locate(source("right", server=server))
    assert paths == [cache / f"images{suffix}", cache / "labels.gz"]
    assert server.asked == ["/right/labels.gz"]


def test_a_download_is_one_line_on_stderr_and_nothing_on_stdout(server, cache, capfd):
    locate(source("right", server=server))
    out, err = capfd.readouterr()
    url = f"http://127.0.0.1:{server.server_port}/right"
    assert out == ""
    assert err.splitlines() == [f"portable_bp: downloading {url}/{name}.gz to {cache}" for name in CONTENT]


def test_with_tqdm_there_is_a_progress_bar_and_no_line(server, cache, capfd, monkeypatch):
    bars = []

    def downloader(progressbar, **options):
        bars.append(progressbar)
        return real_downloader(**options)

    real_downloader = pooch.HTTPDownloader
    monkeypatch.setattr(fetch, "find_spec", lambda name: name == "tqdm" or None)
    monkeypatch.setattr(pooch, "HTTPDownloader", downloader)
    locate(source("right", server=server))
    assert bars == [True, True]
    assert capfd.readouterr() == ("", "")


def test_pooch_is_silent_here_and_speaks_to_other_programs_as_before(server, cache, monkeypatch):
    said, logger = [], pooch.get_logger()
    handler = logging.Handler()
    handler.emit = said.append
    monkeypatch.setattr(logger, "handlers", [handler])
    logger.setLevel(logging.INFO)
    locate(source("right", server=server))
    assert said == []
    assert logger.level == logging.INFO


def test_a_given_folder_is_used_and_nothing_is_downloaded(server, cache, tmp_path):
    (tmp_path / "images").write_bytes(b"raw")
    (tmp_path / "labels.gz").write_bytes(b"packed")
    paths = locate(source("right", server=server), str(tmp_path))
    assert paths == [tmp_path / "images", tmp_path / "labels.gz"]
    assert server.asked == []
    assert not cache.exists()


def test_a_given_folder_that_lacks_a_file_is_refused_with_folder_and_names(server, cache, tmp_path):
    (tmp_path / "images").write_bytes(b"raw")
    with pytest.raises(FileError) as caught:
        locate(source("right", server=server), tmp_path)
    assert str(caught.value) == (
        f"the folder {str(tmp_path)!r} lacks labels: toy needs the files images, labels, raw or "
        ".gz; give the folder that holds them, for example the toy box"
    )
    assert server.asked == []


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_the_cache_is_the_operating_systems(value, monkeypatch):
    monkeypatch.delenv("PORTABLE_BP_CACHE", raising=False)
    if value is not None:
        monkeypatch.setenv("PORTABLE_BP_CACHE", value)
    assert fetch.cache_folder() == pooch.os_cache("portable_bp")
