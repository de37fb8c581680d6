"""Whatever a file holds, its reader gives what it says or refuses it in one line: no crash, no code, no great memory.

Each test comes in two sizes: a small one for every day, and a large one with the marker ``long``.
"""

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from mutation import damaged
from readers import idx_bytes, model_bytes, npy_bytes, outcome, readers

import portable_bp as bp

NAMES = ("model", "description", "idx", "packed idx", "idx in gzip", "sweep file", "sweep.json", "results.csv",
         "epochs.csv", "configuration", "csv", "npy", "log")  # fmt: skip
every_reader = pytest.mark.parametrize("name", NAMES)


def sizes(small, large):
    return pytest.mark.parametrize("count", [small, pytest.param(large, marks=pytest.mark.long)])


@pytest.fixture(scope="module")
def all_readers(tmp_path_factory):
    return readers(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def reader(name, all_readers):
    return all_readers[name]


def emptied(folder):
    for path in folder.iterdir():
        path.unlink()


def read_all(reader, contents, folder):
    """Numbers of files tried, read and refused; raises what is no refusal, with the file left in the folder."""
    read = tried = 0
    for content in contents:
        tried += 1
        (folder / reader.name).write_bytes(reader.wrapped(content))
        read += outcome(reader, folder / reader.name) is None
        emptied(folder)
    return {"files": tried, "read": read, "refused": tried - read}


def test_the_readers_are_all_here(all_readers):
    assert tuple(all_readers) == NAMES


@every_reader
def test_every_sound_file_is_read(name, reader, tmp_path):
    assert read_all(reader, reader.sound, tmp_path)["refused"] == 0


@sizes(150, 25_000)
@every_reader
def test_damaged_files_are_read_or_refused_in_one_line(name, count, reader, tmp_path, report):
    contents = (damaged(reader.sound[seed % len(reader.sound)], seed, reader.sound) for seed in range(count))
    found = read_all(reader, (one for one in contents if one not in reader.sound), tmp_path)
    report(f"damaged: {name}", **found)
    assert found["files"] > 0.9 * count
    if name in ("model", "sweep.json"):
        assert found["read"] == 0


@sizes(60, None)
@every_reader
def test_files_cut_at_any_byte_are_read_or_refused_in_one_line(name, count, reader, tmp_path, report):
    step = 1 if count is None else max(1, sum(map(len, reader.sound)) // count)
    found = read_all(reader, (one[:end] for one in reader.sound for end in range(0, len(one), step)), tmp_path)
    report(f"cut: {name}", **found)
    if name in ("model", "idx", "packed idx", "npy", "sweep.json"):
        assert found["read"] == 0


@sizes(97, 1)
def test_every_flipped_bit_of_a_model_is_refused(count, all_readers, tmp_path, report):
    [sound] = all_readers["model"].sound
    bits = range(0, 8 * len(sound), count)
    contents = (bytes(byte ^ (1 << bit % 8) * (i == bit // 8) for i, byte in enumerate(sound)) for bit in bits)
    found = read_all(all_readers["model"], contents, tmp_path)
    report("flipped bits: model", **found)
    assert found == {"files": len(bits), "read": 0, "refused": len(bits)}


# -- what stands where a file should -----------------------------------------------------------------------------------

PLACES = {
    "a folder": lambda path, sound: path.mkdir(),
    "a pipe": lambda path, sound: os.mkfifo(path),
    "a device without an end": lambda path, sound: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path, sound: path.symlink_to(path.with_name("nowhere")),
    "a link to itself": lambda path, sound: path.symlink_to(path),
    "nothing": lambda path, sound: None,
    "an empty file": lambda path, sound: path.touch(),
}
LENIENT = ("configuration", "log", "results.csv", "epochs.csv", "sweep.json", "sweep file")
"""Readers that do without the file, or make it, in some of these cases."""


@pytest.mark.parametrize("place", PLACES)
@every_reader
def test_what_is_no_file_is_refused_in_one_line_and_at_once(name, place, reader, tmp_path):
    path = tmp_path / reader.name
    PLACES[place](path, reader.sound[0])
    said = outcome(reader, path)
    assert said is not None or name in LENIENT
    assert not (tmp_path / "nowhere").exists()


@every_reader
def test_a_link_to_a_sound_file_is_read_unless_it_is_written_to(name, reader, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(reader.wrapped(reader.sound[0]))
    before = elsewhere.read_bytes()
    path = tmp_path / "here" / reader.name
    path.parent.mkdir()
    path.symlink_to(elsewhere)
    said = outcome(reader, path)
    if name in ("results.csv", "epochs.csv", "log"):
        assert "through which nothing is written" in said
    else:
        assert said is None
    assert elsewhere.read_bytes() == before


@pytest.mark.parametrize("path", ["a\0b", "a" * 300, "../" * 2000 + "x", "a\nb", ""], ids=lambda path: repr(path[:8]))
@pytest.mark.parametrize("name", ["model", "idx", "sweep file", "configuration", "csv", "npy", "log"])
def test_names_that_no_file_has_are_refused_in_one_line(name, path, reader, tmp_path):
    assert outcome(reader, tmp_path / path) is not None or name in LENIENT


# -- memory ------------------------------------------------------------------------------------------------------------


def tensors_file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def one_each(number, size):
    return {
        str(i): {"dtype": "F32", "shape": [1] * size, "data_offsets": [4 * size * i, 4 * size * (i + 1)]}
        for i in range(number)
    }


def zeros_in_gzip(megabytes):
    """A gzip of so many megabytes of zeros, made without them."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb") as packed:
        packed.write(struct.pack(">HBBI", 0, 8, 1, megabytes << 20))
        for _ in range(megabytes):
            packed.write(bytes(1 << 20))
    return file.getvalue()


FLOOR = 3 << 20
BOMBS = {
    "many tensors": ("model", lambda: tensors_file(one_each(20_000, 1), bytes(80_000)), 40),
    "many tensors of nothing": ("model", lambda: tensors_file(one_each(20_000, 0)), 40),
    "many keys": ("model", lambda: tensors_file({"__metadata__": {str(i): "" for i in range(100_000)}}), 40),
    "a description of lists": ("description", lambda: b'{"layers": [' + b"[]," * 100_000 + b"[]]}", 60),
    "a shape of many ones": ("model", lambda: tensors_file(b'{"a":{"shape":[' + b"1," * 1_900_000), 2),
    "a huge shape": (
        "model",
        lambda: tensors_file({"a": {"dtype": "F32", "shape": [9**9], "data_offsets": [0, 4]}}),
        2,
    ),
    "a header of 2⁶²": ("model", lambda: struct.pack("<Q", 2**62) + bytes(1000), 2),
    "large tensors": ("model", lambda: model_bytes(bp.Network([bp.Dense(1000, 1000)], bp.MeanSquaredError())), 4),
    "a great many zeros": ("idx", lambda: zeros_in_gzip(256), 600),
    "a huge declared shape": ("idx", lambda: struct.pack(">HBB3I", 0, 14, 3, *[2**32 - 1] * 3) + bytes(10_000), 2),
    "gzip of gzip": ("idx", lambda: gzip.compress(zeros_in_gzip(64)), 2),
    "plain numbers": ("idx", lambda: idx_bytes(np.zeros(10**6)), 4),
    "short rows": ("csv", lambda: b"1\n" * 200_000, 12),
    "a long row": ("csv", lambda: b"1," * 200_000 + b"1\n", 12),
    "two columns": ("csv", lambda: b"1,2\n" * 100_000, 16),
    "one word": ("csv", lambda: b"x" * 10_000_000, 3),
    "an open quote": ("csv", lambda: b'"' + b"x\n" * 5_000_000, 3),
    "bytes": ("npy", lambda: npy_bytes(np.zeros((10**6, 2), "u1")), 30),
    "a terabyte declared": ("npy", lambda: npy_bytes(np.zeros((1, 1), "u1")).replace(b"(1, 1), }  ", b"(10**12,)}"), 2),
    "lists in a configuration": ("configuration", lambda: b"[" + b"[]," * 300_000 + b"[]]", 60),
    "a large configuration": ("configuration", lambda: b"[" * 30_000_000, 1),
    "a large definition": ("sweep.json", lambda: b"[" * 30_000_000, 1),
    "a table of one line": ("results.csv", lambda: b"," * 30_000_000, 3),
    "an endless line": ("log", lambda: b"x" * 30_000_000, 1),
    "lists in a sweep": ("sweep file", lambda: b"a: [" + b"[]," * 10_000 + b"]", 400),
}
"""Reader, file, and how many times the file's size its reading may take; gzip may have 64 MiB whatever its size."""


def written(bomb, all_readers, folder):
    name, make, _ = BOMBS[bomb]
    reader = all_readers[name]
    (folder / reader.name).write_bytes(reader.wrapped(make()))
    return reader, folder / reader.name


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_file_takes_more_than_so_many_times_its_size(bomb, all_readers, tmp_path, report):
    reader, path = written(bomb, all_readers, tmp_path)
    size, times = path.stat().st_size, BOMBS[bomb][2]
    tracemalloc.start()
    try:
        outcome(reader, path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    report(f"memory: {bomb}", size=size, peak=peak)
    assert peak < FLOOR + times * size


CHILD = """
import resource, sys
from pathlib import Path

sys.path[:0] = sys.argv[2:3]
from readers import outcome, readers

reader = readers(Path(sys.argv[3]))[sys.argv[4]]
outcome(reader, Path(sys.argv[1]))  # once, so that all modules are in memory
used = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[6]),) * 2)
print(outcome(reader, Path(sys.argv[5])))
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc/self/statm on this system")
@pytest.mark.parametrize("bomb", BOMBS)
def test_no_file_takes_much_address_space(bomb, all_readers, tmp_path):
    """What tracemalloc doesn't see, above all the header's parser; a process of its own is refused more."""
    for folder in ("bomb", "sound", "work"):
        (tmp_path / folder).mkdir()
    reader, path = written(bomb, all_readers, tmp_path / "bomb")
    (tmp_path / "sound" / reader.name).write_bytes(reader.wrapped(reader.sound[0]))
    room = (160 << 20) + 12 * path.stat().st_size
    here = Path(__file__).parents[1] / "hostile"
    arguments = [tmp_path / "sound" / reader.name, here, tmp_path / "work", BOMBS[bomb][0], path, room]
    done = subprocess.run([sys.executable, "-c", CHILD, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
