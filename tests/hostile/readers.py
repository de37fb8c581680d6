"""Every way in which a file comes into the program, with sound files to begin with."""

import gzip
import io
import json
import struct
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors

import portable_bp as bp
from portable_bp.checksum import sealed, unsealed
from portable_bp.cli.evaluate import data_of
from portable_bp.cli.examples import examples
from portable_bp.cli.folder import CONFIGURATION, configuration_of
from portable_bp.datasets import read_idx
from portable_bp.history import History
from portable_bp.sweeping.definition import read_definition
from portable_bp.sweeping.figures import read_epochs
from portable_bp.sweeping.run import Result
from portable_bp.sweeping.search import search_of
from portable_bp.sweeping.sweep import Sweep
from portable_bp.sweeping.table import DEFINITION, EPOCHS, RESULTS, Table
from portable_bp.tracking.lines import Lines

X = np.linspace(-1, 1, 12).reshape(6, 2)
SWEEP = {"method": "grid", "parameters": {"rate": {"values": [0.1, 0.2]}, "hidden": {"values": ["", 4]}}}
FIGURES = ["loss", "training_accuracy"]


@dataclass(frozen=True)
class Reader:
    """``sound`` files, which ``read`` takes under the name ``name``; ``wrapped`` makes the file of what is damaged."""

    name: str
    sound: tuple[bytes, ...]
    read: Callable
    wrapped: Callable = bytes


def network():
    return bp.Network([bp.Dense(2, 3), bp.Tanh(), bp.Dropout(0.25), bp.Dense(3, 2)], bp.SoftmaxCrossEntropy())


def model_bytes(net):
    """What `save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        net.save(Path(folder, "net"))
        return Path(folder, "net").read_bytes()


def parts_of(model):
    """Tensors, the key of the description, and the description without its checksum, of what `save` writes."""
    header = json.loads(model[8 : 8 + int.from_bytes(model[:8], "little")])
    [(key, text)] = header["__metadata__"].items()
    tensors = from_safetensors(model)
    return tensors, key, unsealed(tensors, json.loads(text))


@cache
def untrained():
    return model_bytes(network())


def with_fitting_checksum(description):
    """A model file with this description, whose checksum fits wherever the description can be parsed."""
    tensors, key, _ = parts_of(untrained())
    try:
        text = json.dumps(sealed(tensors, json.loads(description)))
    except (ValueError, TypeError, RecursionError):
        text = description.decode(errors="replace")
    return to_safetensors(tensors, {key: text})


def description_bytes(net):
    return json.dumps(parts_of(model_bytes(net))[2]).encode()


def load_and_use(path):
    net = bp.load(path)
    net.predict(np.zeros((1, *(net.architecture.input_shape or (2,)))))


def idx_bytes(array):
    codes = {"u1": 8, "i2": 11, "f8": 14}
    kind = array.dtype.newbyteorder(">").str[1:]
    header = struct.pack(f">HBB{array.ndim}I", 0, codes[kind], array.ndim, *array.shape)
    return header + array.astype(f">{kind}").tobytes()


def npy_bytes(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def use_examples(path):
    net = network()
    net.classify(examples(net, path))


def define(path):
    """Read the definition and make the sweep, which looks at its first points; none is trained."""
    Sweep(read_definition(path, {"dataset": "xor"}))


def folder_of_a_sweep(folder, replaced=None, content=b""):
    """A sweep's folder with two of its four runs in it, one file replaced."""
    for name, sound in {**SWEPT, **({replaced: content} if replaced else {})}.items():
        (folder / name).write_bytes(sound)


def go_on(path):
    """Open the table in whose folder ``path`` lies, as a sweep that goes on does."""
    for name, sound in SWEPT.items():
        if name != path.name:
            (path.parent / name).write_bytes(sound)
    table = opened(path.parent)
    try:
        read_epochs(path.parent / EPOCHS, "loss", {row["run"] for row in table.rows})
    finally:
        table.close()


def opened(folder):
    definition = read_definition(SWEEP, {"dataset": "xor"})
    return Table(definition, search_of(definition), FIGURES, folder)


def swept(folder):
    table, history = opened(folder), History()
    for epoch in (1, 2):
        history.append({"epoch": epoch, "loss": 1 / epoch, "training_accuracy": 0.5, "seconds": 0.1})
    for number in range(2):
        table.add(table._search.point(number), Result("finished", history, digest="abc"))
    table.close()
    return {name: (folder / name).read_bytes() for name in (DEFINITION, RESULTS, EPOCHS)}


def read_configuration(path):
    assert isinstance(configuration_of(path), dict)
    data_of(path, "mnist")


def append_lines(path):
    lines = Lines(path, append=True)
    try:
        lines.open()
    finally:
        lines.close()


def configuration_bytes():
    return json.dumps({"dataset": "mnist", "data": "examples/data/mnist", "rate": 0.001, "hidden": [128]}).encode()


YAML = (
    b"program: train.py\nmethod: grid\nmetric: {name: train_acc, goal: maximize}\nrun_cap: 4\nparameters:\n"
    b"  hidden: {values: ['', 4, [4, 2]]}\n  rate: {values: [0.1, 1e-2]}\n  epochs: {value: 3}\n",
    b"method: random\nrun_cap: 5\nparameters:\n"
    b"  rate: {distribution: q_log_uniform_values, min: 1e-4, max: 0.1, q: 0.01}\n"
    b"  l2: {distribution: inv_log_uniform, min: 0, max: 3}\n  seed: {min: 0, max: 10}\n"
    b"  activation: {values: [relu, tanh], probabilities: [0.3, 0.7]}\n"
    b"  batch_size: {distribution: q_normal, mu: 9, q: 4}\n",
    b"method: grid\ntags: &a [1, 2]\nparameters: &p\n  epochs: {min: 1, max: 3}\n  seed: {values: *a}\n"
    b"  rate: {distribution: q_uniform, min: 0.1, max: 0.5, q: 0.1}\n  <<: {dropout: {value: 0.5}}\n",
)
SWEPT: dict[str, bytes] = {}


def readers(folder):
    """Every reader by name; ``folder`` is an empty one to make sound files in."""
    SWEPT.update(swept(folder))
    images, numbers = np.arange(24, dtype="u1").reshape(3, 4, 2), X.astype("f8")
    plain = (idx_bytes(images), idx_bytes(numbers), idx_bytes(np.arange(5, dtype="i2")))
    trained = network()
    trained.fit(X, [0, 1, 0, 1, 1, 0], epochs=2, progress=False)
    csv = (b"a,b\n1,2\n-3.5,4e-2\n", b'\xef\xbb\xbf1,2\r\n"3",4\r\n\r\n5,6')
    npy = (npy_bytes(X), npy_bytes(np.asfortranarray(X.astype("f4"))), npy_bytes(images[:, 0]))
    return {
        "model": Reader("m", (model_bytes(trained),), load_and_use),
        "description": Reader("m", (description_bytes(trained),), load_and_use, with_fitting_checksum),
        "idx": Reader("x", plain, read_idx),
        "packed idx": Reader("x", tuple(gzip.compress(one, mtime=0) for one in plain), read_idx),
        "idx in gzip": Reader("x", plain, read_idx, lambda content: gzip.compress(content, 1, mtime=0)),
        "sweep file": Reader("s.yaml", YAML, define),
        "sweep.json": Reader(DEFINITION, (SWEPT[DEFINITION],), go_on),
        "results.csv": Reader(RESULTS, (SWEPT[RESULTS],), go_on),
        "epochs.csv": Reader(EPOCHS, (SWEPT[EPOCHS],), go_on),
        "configuration": Reader(CONFIGURATION, (configuration_bytes(),), read_configuration),
        "csv": Reader("x.csv", csv, use_examples),
        "npy": Reader("x.npy", npy, use_examples),
        "log": Reader("log.jsonl", (b'{"configuration": {}}\n{"epoch": 1}\n',), append_lines),
    }


FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.kill", "subprocess.Popen",
             "socket.", "pickle.find_class", "ctypes.dlopen", "shutil.rmtree", "urllib.Request")  # fmt: skip
_done: list[str] | None = None


def _note(event, arguments):
    if _done is not None and event.startswith(FORBIDDEN):
        _done.append(f"{event}{arguments}")


@contextmanager
def nothing_is_run():
    """Fail where a process, a connection or a pickle was begun, by Python's own audit of such events."""
    global _done
    if not hasattr(sys, "_portable_bp_audited"):
        sys.addaudithook(_note)  # which can't be taken away again
        sys._portable_bp_audited = True
    _done = []
    try:
        yield
        assert _done == []
    finally:
        _done = None


def outcome(reader, path):
    """None where the file was read; else the one line that refused it. Anything else is raised."""
    try:
        with nothing_is_run():
            reader.read(path)
    except bp.PortableBPError as error:
        said = str(error)
        assert len(said.splitlines()) == 1, repr(said)
        return said
    return None
