"""Classes for files of examples."""

import csv
import json
import os
import pickle
import struct
import sys

import numpy as np
import pytest

import portable_bp as bp

X = [[0.0, 0.0], [0.1, 0.9], [0.8, 0.8], [1.0, 0.0]]
CLASSES = [0, 1, 0, 1]


def as_npy(path):
    np.save(path, np.array(X))


def as_csv(path):
    path.write_text("".join(f"{a},{b}\n" for a, b in X))


def as_csv_with_header(path):
    path.write_text("\ufeffleft,right\r\n" + "".join(f"{a}, {b}\r\n" for a, b in X), encoding="utf-8")


def as_idx(path):
    path.write_bytes(struct.pack(">HBB2I", 0, 0x0E, 2, *np.shape(X)) + np.array(X, ">f8").tobytes())


@pytest.mark.parametrize(
    ("name", "write"), [("x.npy", as_npy), ("x.csv", as_csv), ("X.CSV", as_csv_with_header), ("x-ubyte", as_idx)]
)
def test_every_kind_of_file_gives_the_networks_classes_and_outputs(run, tmp_path, xor_model, name, write):
    write(tmp_path / name)
    found = json.loads(run("predict", xor_model, name, "--json").stdout)["predictions"]
    p = bp.load(xor_model).predict(X)[:, 0]
    assert [row["row"] for row in found] == [0, 1, 2, 3]
    assert [row["class"] for row in found] == CLASSES
    assert [row["confidence"] for row in found] == pytest.approx(np.where(CLASSES, p, 1 - p).tolist())
    assert all(row["confidence"] > 0.9 for row in found)


def test_the_folder_of_a_run_stands_for_its_network(run, tmp_path, xor_model):
    as_npy(tmp_path / "x.npy")
    outcome = run("predict", xor_model.parent, "x.npy", "--json")
    assert json.loads(outcome.stdout)["model"] == str(xor_model)
    assert outcome == run("predict", xor_model, "x.npy", "--json")


def test_images_of_bytes_are_flattened_and_scaled_as_for_training(run, tmp_path):
    net = bp.Network([bp.Dense(6, 3)], bp.SoftmaxCrossEntropy())
    net.save(tmp_path / "m.safetensors")
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 3), dtype=np.uint8)
    (tmp_path / "images").write_bytes(struct.pack(">HBB3I", 0, 8, 3, 5, 2, 3) + images.tobytes())
    found = json.loads(run("predict", "m.safetensors", "images", "--json").stdout)["predictions"]
    expected = net.predict(images.reshape(5, 6) / 255)
    assert [row["class"] for row in found] == expected.argmax(axis=1).tolist()
    assert [row["confidence"] for row in found] == pytest.approx(expected.max(axis=1).tolist(), rel=1e-5)


def test_all_rows_go_to_the_output_file(run, tmp_path, xor_model):
    np.save(tmp_path / "x.npy", np.tile(X, (10, 1)))
    outcome = run("predict", xor_model, "x.npy", "--output", "p.csv")
    assert (outcome.status, outcome.stdout) == (0, "40 predictions in p.csv\n")
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["class"]) for row in rows] == CLASSES * 10
    assert list(rows[0]) == ["row", "class", "confidence"]
    assert {path.name for path in tmp_path.iterdir()} == {"x.npy", "p.csv"}


@pytest.mark.parametrize(("terminal", "shown"), [(True, 20), (False, 40)])
def test_a_terminal_shows_twenty_rows_and_a_pipe_all(run, tmp_path, xor_model, monkeypatch, terminal, shown):
    np.save(tmp_path / "x.npy", np.tile(X, (10, 1)))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    text = run("predict", xor_model, "x.npy").stdout
    assert sum(line.split()[:1] != [] and line.split()[0].isdigit() for line in text.splitlines()) == shown
    assert ("… and 20 more rows" in text) == terminal


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def pickled(path):
    np.save(path, np.array([Bomb()], dtype=object), allow_pickle=True)


def bare_pickle(path):
    path.write_bytes(pickle.dumps(Bomb()))


def several(path):
    with path.open("wb") as file:
        np.savez(file, a=np.eye(2))


def declares_a_terabyte(path):
    header = {"shape": (10**6, 10**6), "fortran_order": False, "descr": "|u1"}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)


def deep(path):
    header = b"[" * 9000 + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


REFUSED = {
    "pickled objects": ("x.npy", pickled, "can't be read as .npy"),
    "a bare pickle": ("x.npy", bare_pickle, "can't be read as .npy"),
    "several arrays": ("x.npy", several, "holds several arrays (.npz)"),
    "text as .npy": ("x.npy", as_csv, "can't be read as .npy"),
    "empty .npy": ("x.npy", lambda path: path.touch(), "can't be read as .npy"),
    "a single number": ("x.npy", lambda path: np.save(path, 3.0), "x must have the shape (n, 2); got ()"),
    "more declared than held": ("x.npy", declares_a_terabyte, "it declares 1000000000000 bytes and holds 0"),
    "no example": ("x.npy", lambda path: np.save(path, np.zeros((0, 28, 28))), "holds no example, shape (0, 28, 28)"),
    "named fields": ("x.npy", lambda path: np.save(path, np.zeros(2, "f4, f4")), "it must hold real numbers"),
    "a header of great depth": ("x.npy", deep, "can't be read as .npy"),
    "a pipe": ("x.csv", os.mkfifo, "it is a pipe or a device: copy what it gives into a file"),
    "a folder": ("x.npy", os.mkdir, "Is a directory"),
    "strings": ("x.npy", lambda path: np.save(path, np.array([["a", "b"]])), "it must hold real numbers"),
    "NaN": ("x.npy", lambda path: np.save(path, [[np.nan, 1]]), "that are NaN or infinite"),
    "wrong width": ("x.csv", lambda path: path.write_text("1,2,3\n"), "x must have the shape (n, 2); got (1, 3)"),
    "ragged rows": (
        "x.csv",
        lambda path: path.write_text("1,2\n3\n"),
        "holds rows of 2 values and, in row 2, of 1: give",
    ),
    "empty .csv": ("x.csv", lambda path: path.touch(), "holds no row of numbers"),
    "header alone": ("x.csv", lambda path: path.write_text("a,b\n"), "holds no row of numbers"),
    "word among numbers": (
        "x.csv",
        lambda path: path.write_text("1,2\n3,x\n"),
        "has values that aren't numbers, the first, 'x', in row 2: remove",
    ),
    "binary as .csv": ("x.csv", lambda path: path.write_bytes(b"\xff\xfe\x00"), "can't be read as .csv"),
    "no IDX": ("x", as_csv, "an IDX file begins with 00 00"),
    "missing .npy": ("x.npy", lambda path: None, "No such file"),
    "missing .csv": ("x.csv", lambda path: None, "No such file"),
    "missing IDX": ("x", lambda path: None, "'x' is missing"),
}


@pytest.mark.parametrize(("name", "write", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_files_that_hold_no_examples_are_refused_in_one_line(refused, tmp_path, xor_model, name, write, said):
    write(tmp_path / name)
    assert said in refused("predict", xor_model, name, "--output", "p.csv")
    assert not (tmp_path / "p.csv").exists()


def test_an_output_file_that_can_not_be_written_is_refused(refused, tmp_path, xor_model):
    as_npy(tmp_path / "x.npy")
    assert "'no/p.csv' can't be written" in refused("predict", xor_model, "x.npy", "--output", "no/p.csv")
    (tmp_path / "d").mkdir()
    assert "'d' can't be written" in refused("predict", xor_model, "x.npy", "--output", "d")
    assert {path.name for path in tmp_path.iterdir()} == {"x.npy", "d"}
