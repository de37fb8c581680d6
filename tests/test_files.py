"""A saved network comes back whole on every backend; every other file is answered with one line and runs nothing."""

import json
import os
import pickletools
import re
import stat
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from safetensors.numpy import load_file
from safetensors.numpy import save as to_safetensors

import portable_bp as bp
from portable_bp import archive
from portable_bp.archive import FORMAT
from portable_bp.checking.cases import LAYERS, LOSSES
from portable_bp.checking.verification import targets_for
from portable_bp.checksum import sealed, unsealed

X = np.arange(12.0).reshape(3, 4) / 12
INITIALIZERS = [
    bp.Zeros(),
    bp.Normal(0.25),
    bp.Uniform(0.125),
    bp.Xavier(),
    bp.Xavier("uniform"),
    bp.He("uniform"),
    bp.LeCun(),
]


def network(backend="numpy", **options):
    layers = [bp.Dense(4, 5), bp.Tanh(), bp.Dropout(0.25), bp.Dense(5, 3, bias=False)]
    return bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=backend, **options)


def bits(net):
    return [
        {name: (array.dtype, array.shape, array.tobytes()) for name, array in layer.items()}
        for layer in ({name: net.backend.to_numpy(array) for name, array in own.items()} for own in net.params)
    ]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "net.safetensors"


# -- what comes back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_moves_to_numpy_and_back_with_every_bit(backend, dtype, tmp_path):
    net = network(backend, dtype=dtype, seed=5)
    net.fit(X, [0, 1, 2], epochs=2, batch_size=2)
    net.save(tmp_path / "there")
    there = bp.load(tmp_path / "there")
    there.save(str(tmp_path / "back"))
    back = bp.load(str(tmp_path / "back"), backend=backend)
    assert bits(there) == bits(back) == bits(net)
    assert [list(own) for own in there.params] == [list(own) for own in network().params]  # equal order, equal sums
    np.testing.assert_array_equal(back.predict(X), net.predict(X))
    np.testing.assert_allclose(there.predict(X), net.predict(X), rtol=1e-5 if dtype == "float32" else 1e-13)
    for loaded in (there, back):
        assert (loaded.layers, loaded.loss, loaded.dtype) == (net.layers, net.loss, dtype)
        assert (loaded.seed, loaded.epoch, loaded.architecture.input_shape) == (5, 2, (4,))


def test_a_loaded_network_shuffles_on_where_the_saved_one_stopped(tmp_path):
    layers, options = [bp.Dense(4, 3)], {"optimizer": bp.SGD(0.5), "batch_size": 1}
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), seed=5)
    net.fit(X, [0, 1, 2], epochs=2, **options)
    net.save(tmp_path / "net")
    loaded = bp.load(tmp_path / "net")
    histories = [one.fit(X, [0, 1, 2], epochs=2, **options) for one in (net, loaded)]
    assert [history["epoch"] for history in histories] == [[3, 4], [3, 4]]
    assert bits(loaded) == bits(net)


@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS.keys())
def test_every_layer_comes_back_equal(layer, shape, tmp_path):
    net = bp.Network([layer], bp.HalfSquaredError(), input_shape=shape)
    net.save(tmp_path / "net")
    loaded = bp.load(tmp_path / "net")
    x = np.linspace(-1, 1, 5 * int(np.prod(shape))).reshape(5, *shape)
    assert loaded.layers == (layer,)
    assert loaded.architecture.input_shape == shape
    assert bits(loaded) == bits(net)
    np.testing.assert_array_equal(loaded.predict(x), net.predict(x))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_every_loss_comes_back_equal(loss, tmp_path):
    net = bp.Network([bp.Dense(4, 3)], loss)
    net.save(tmp_path / "net")
    loaded = bp.load(tmp_path / "net")
    y = targets_for(loss, 3, 3)
    assert loaded.loss == loss
    assert loaded.evaluate(X, y) == net.evaluate(X, y)


@pytest.mark.parametrize("initializer", INITIALIZERS, ids=str)
def test_every_initializer_comes_back_equal(initializer, tmp_path):
    net = bp.Network([bp.Dense(4, 3, weight_init=initializer, bias_init=initializer)], bp.MeanSquaredError())
    net.save(tmp_path / "net")
    loaded = bp.load(tmp_path / "net")
    assert loaded.layers == net.layers
    assert bits(loaded) == bits(net)


def test_another_dtype_than_the_files_may_be_asked_for(tmp_path):
    net = network(dtype="float32")
    net.save(tmp_path / "net")
    wide = bp.load(tmp_path / "net", dtype="float64")
    assert wide.dtype == "float64"
    assert {str(array.dtype) for layer in wide.params for array in layer.values()} == {"float64"}
    wide.save(tmp_path / "wide")
    assert bits(bp.load(tmp_path / "wide", dtype="float32")) == bits(net)


@dataclass(frozen=True)
class Scale(bp.Layer):
    """A layer, an initializer and a loss of a user's own."""

    factor: float = 2.0
    axes: tuple[int, ...] = (1, 2)

    def forward(self, xp, params, x):
        return self.factor * x, None

    def backward(self, xp, params, cache, dy):
        return self.factor * dy, {}


def test_a_layer_of_ones_own_is_loaded_once_its_class_is_named(tmp_path):
    net = bp.Network([bp.Dense(4, 3), Scale(3.0)], bp.MeanSquaredError())
    net.save(tmp_path / "net")
    loaded = bp.load(tmp_path / "net", custom=[Scale])
    assert loaded.layers == net.layers
    np.testing.assert_array_equal(loaded.predict(X), net.predict(X))
    with pytest.raises(bp.FileError) as caught:
        bp.load(tmp_path / "net")
    assert str(caught.value) == (
        f"{str(tmp_path / 'net')!r}: it is made of 'Scale', which portable_bp doesn't know: "
        "name the class in load(…, custom=[…])"
    )


@pytest.mark.parametrize("custom", [Scale, ["Scale"], None, [Scale()]], ids=str)
def test_custom_must_be_a_list_of_classes(custom, tmp_path):
    with pytest.raises(bp.ConfigurationError, match=re.escape("give a list of classes, custom=[MyLayer]")):
        bp.load(tmp_path / "net", custom=custom)


def test_a_layer_that_no_json_can_hold_is_not_saved(tmp_path):
    with pytest.raises(bp.ConfigurationError, match=r"not JSON serializable.*must be numbers, strings") as caught:
        bp.Network([Scale(np.ones(3))], bp.MeanSquaredError()).save(tmp_path / "net")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_description_that_is_too_long_is_not_saved(tmp_path):
    with pytest.raises(bp.ConfigurationError, match=r"more than 4,194,304: keep what is large in parameters"):
        bp.Network([Scale("a" * 2**22)], bp.MeanSquaredError()).save(tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_safetensors_that_other_tools_read_and_holds_no_pickle(tmp_path):
    path, net = tmp_path / "net", network()
    net.save(path)
    assert {name: array.shape for name, array in load_file(path).items()} == {
        "0.weight": (4, 5),
        "0.bias": (1, 5),
        "3.weight": (5, 3),
    }
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert len(content) == 8 + size + 4 * (20 + 5 + 15)  # float32, and nothing behind them
    assert list(header["__metadata__"]) == [FORMAT]
    assert json.loads(header["__metadata__"][FORMAT])["layers"][1] == {"class": "Tanh"}
    with pytest.raises(ValueError, match="opcode"):
        list(pickletools.genops(content))


# -- what is refused ---------------------------------------------------------------------------------------------------


def refusal(path, **options):
    """The message of the refusal, which is one line with the path in it."""
    with pytest.raises(bp.PortableBPError) as caught:
        bp.load(path, **options)
    message = str(caught.value)
    assert repr(str(path)) in message
    assert "\n" not in message
    return caught.value


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a saved network."""
    path = tmp_path_factory.mktemp("whole") / "net"
    network().save(path)
    return path.read_bytes()


def header_end(content):
    return 8 + int.from_bytes(content[:8], "little")


@pytest.mark.parametrize(
    "place",
    [
        lambda content: 0,
        lambda content: 1,
        lambda content: 7,
        lambda content: 8,
        lambda content: 9,
        lambda content: header_end(content) // 2,
        lambda content: header_end(content) - 1,
        header_end,
        lambda content: header_end(content) + 1,
        lambda content: len(content) - 1,
    ],
    ids=[
        "nothing",
        "1 byte",
        "a cut length",
        "a length",
        "1 byte of header",
        "half a header",
        "all but 1 of the header",
        "a header",
        "1 byte of data",
        "all but 1 byte",
    ],
)
def test_a_truncated_file_is_refused(place, whole, file):
    file.write_bytes(whole[: place(whole)])
    error = refusal(file)
    assert type(error) is bp.FileError
    assert "truncated, damaged or foreign; give a file that save() wrote" in str(error)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused(data, whole, file):
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert type(refusal(file)) is bp.FileError


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_refused(data, whole, file):
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(damaged)
    refusal(file)


def test_a_changed_parameter_is_refused_with_both_checksums(whole, file):
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert re.search(
        r"its checksum is '[0-9a-f]{16}'… and its content's '[0-9a-f]{16}'…: it was changed after it was saved; "
        "take a copy that is whole, or save it again$",
        str(refusal(file)),
    )


CHANGES = {
    "a field": lambda tensors, fields: (tensors, fields | {"seed": 1}),
    "a field more": lambda tensors, fields: (tensors, fields | {"note": ""}),
    "a field less": lambda tensors, fields: (tensors, {"seed": 0}),
    "a name": lambda tensors, fields: ({"0.wexght": tensors["0.weight"]}, fields),
    "a dtype": lambda tensors, fields: ({"0.weight": tensors["0.weight"].view("i4")}, fields),
    "a shape": lambda tensors, fields: ({"0.weight": tensors["0.weight"].T}, fields),
    "a bit": lambda tensors, fields: ({"0.weight": -tensors["0.weight"]}, fields),
    "a tensor more": lambda tensors, fields: (tensors | {"1.bias": tensors["0.weight"]}, fields),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_checksum_covers_every_field_name_dtype_shape_and_bit(change):
    tensors, fields = {"0.weight": np.zeros((2, 3), "f4")}, {"seed": 0, "layers": ["é", 0.1]}
    assert unsealed(tensors, json.loads(json.dumps(sealed(tensors, fields)))) == fields
    changed_tensors, changed = change(tensors, fields)
    with pytest.raises(bp.FileError, match="it was changed after it was saved"):
        unsealed(changed_tensors, changed | {"sha256": sealed(tensors, fields)["sha256"]})


@pytest.mark.parametrize("found", [{"seed": 0}, {"sha257": "a", "seed": 0}, {"sha256": None}, [], None, 3], ids=str)
def test_a_description_without_a_checksum_is_refused(found):
    with pytest.raises(bp.FileError, match="it holds no checksum, so it is damaged or foreign: save it again"):
        unsealed({}, found)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60))
def test_any_bytes_are_refused(content, file):
    file.write_bytes(content)
    assert type(refusal(file)) is bp.FileError


def dense(**changed):
    init = {"weight_init": {"class": "Xavier", "distribution": "normal"}, "bias_init": {"class": "Zeros"}}
    return {"class": "Dense", "n_in": 2, "n_out": 3, "bias": True, **init, **changed}


def crafted(file, tensors=None, text=None, **changed):
    """Write a safetensors file whose description is sound but for what is ``changed``."""
    sound = {
        "layers": [dense(), {"class": "ReLU"}],
        "loss": {"class": "MeanSquaredError"},
        "dtype": "float32",
        "seed": 0,
        "input_shape": [2],
        "epoch": 0,
        "step": 0,
    }
    arrays = {"0.weight": np.zeros((2, 3), "f4"), "0.bias": np.zeros((1, 3), "f4")} if tensors is None else tensors
    description = json.dumps(sealed(arrays, {**sound, **changed})) if text is None else text
    file.write_bytes(to_safetensors(arrays, {FORMAT: description}))


def test_the_crafted_file_is_sound_where_nothing_is_changed(file):
    crafted(file)
    assert bp.load(file).predict([[1, 2]]).tolist() == [[0, 0, 0]]


HUGE = 10**9
DESCRIPTIONS = {
    "a command": (
        {"layers": [{"class": "os.system", "command": "false"}]},
        "'os.system', which portable_bp doesn't know",
    ),
    "a builtin": ({"layers": [{"class": "eval", "source": "1"}]}, "'eval', which portable_bp doesn't know"),
    "another class of portable_bp": ({"layers": [{"class": "Network"}]}, "'Network', which portable_bp doesn't know"),
    "a module": ({"layers": [{"class": "dense"}]}, "'dense', which portable_bp doesn't know"),
    "a private name": ({"layers": [{"class": "__loader__"}]}, "'__loader__', which portable_bp doesn't know"),
    "a name of two lines": ({"layers": [{"class": "a\nb"}]}, r"'a\nb', which portable_bp doesn't know"),
    "a name that is a list": ({"layers": [{"class": ["ReLU"]}]}, "which portable_bp doesn't know"),
    "an abstract class": ({"layers": [{"class": "Layer"}]}, "describes no network"),
    "a loss as layer": ({"layers": [{"class": "MeanSquaredError"}]}, "layer 0 is MeanSquaredError()"),
    "a layer as loss": ({"loss": {"class": "ReLU"}}, "loss=ReLU() is no loss"),
    "a layer as initializer": (
        {"layers": [dense(weight_init={"class": "ReLU"})]},
        "weight_init=ReLU(): give an instance such as He()",
    ),
    "a layer without a class": ({"layers": [{"clas": "ReLU"}]}, "KeyError('class')"),
    "a layer that is a number": ({"layers": [3]}, "layer 0 is 3"),
    "a field too many": ({"layers": [dense(x=1)]}, "describes no network"),
    "a field of another kind": ({"layers": [dense(n_in="2")]}, "n_in='2'"),
    "a bias that is no truth": ({"layers": [dense(bias="no")]}, "bias='no'"),
    "a rate that is a word": ({"layers": [dense(), {"class": "Dropout", "rate": "a"}]}, "rate='a'"),
    "layers that are a number": ({"layers": 3}, "describes no network"),
    "layers that are words": ({"layers": {"a": 1}}, "layer 0 is 'a'"),
    "no layers": ({"layers": []}, "describes no network"),
    "no loss": ({"loss": None}, "loss=None is no loss"),
    "another dtype": ({"dtype": "int8"}, "dtype='int8'"),
    "a dtype that is a list": ({"dtype": ["float32"]}, "dtype=['float32']"),
    "a seed that is a word": ({"seed": "a"}, "seed='a'"),
    "an endless epoch": ({"epoch": float("inf")}, "its epoch=inf"),
    "a negative epoch": ({"epoch": -3}, "its epoch=-3"),
    "an epoch that no clock reaches": ({"epoch": 2**63}, "its epoch=9223372036854775808"),
    "a step that no clock reaches": ({"step": 2**63}, "its step=9223372036854775808"),
    "an epoch that is a word": ({"epoch": "three"}, "its epoch='three'"),
    "an input shape that is a number": ({"input_shape": 2}, "input_shape=2"),
    "an input shape of words": ({"input_shape": ["2"]}, "input_shape=['2']"),
    "an input shape that doesn't fit": ({"input_shape": [7]}, "expects x of shape (batch, 2); got (batch, 7)"),
    "a huge Dense": ({"layers": [dense(n_in=HUGE, n_out=HUGE)], "input_shape": None}, "(1000000000, 1000000000)"),
    "a huge Dense without parameters": (
        {"layers": [dense(n_in=HUGE, n_out=HUGE)], "input_shape": None, "tensors": {}},
        "(1000000000, 1000000000)",
    ),
    "a list": ({"text": "[]"}, "holds no checksum"),
    "null": ({"text": "null"}, "holds no checksum"),
    "a part of a description": (
        {"text": json.dumps(sealed({}, {"layers": []})), "tensors": {}},
        "describes no network",
    ),
    "a key that is there twice": ({"text": '{"seed": 0, "seed": 1}'}, "the key 'seed' is there twice"),
    "a description that is too long": ({"text": '"' + "a" * 2**22 + '"'}, "more than 4,194,304"),
    "cut JSON": ({"text": '{"layers": ['}, "can't be read"),
    "JSON of great depth": ({"text": "[" * 100_000}, "can't be read"),
    "layers of great depth": ({"layers": json.loads("[" * 900 + "]" * 900)}, "describes no network"),
    "a number of many digits": ({"text": '{"seed": ' + "9" * 10_000 + "}"}, "can't be read"),
}


@pytest.mark.parametrize(("changed", "words"), DESCRIPTIONS.values(), ids=DESCRIPTIONS.keys())
def test_a_crafted_description_is_refused_without_allocating(changed, words, file):
    crafted(file, **changed)
    tracemalloc.start()
    try:
        error = refusal(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert words in str(error)
    assert peak < 8 << 20


WEIGHT, BIAS = np.zeros((2, 3), "f4"), np.zeros((1, 3), "f4")
TENSORS = {
    "a shape transposed": ({"0.weight": WEIGHT.T.copy(), "0.bias": BIAS}, "got {'bias': (1, 3), 'weight': (3, 2)}"),
    "a shape without axes": ({"0.weight": np.zeros((), "f4"), "0.bias": BIAS}, "'weight': ()"),
    "a missing bias": ({"0.weight": WEIGHT}, "got {'weight': (2, 3)}"),
    "nothing": ({}, "got {}"),
    "a parameter too many": ({"0.weight": WEIGHT, "0.bias": BIAS, "0.more": BIAS}, "'more': (1, 3)"),
    "a parameter of a layer without any": ({"0.weight": WEIGHT, "0.bias": BIAS, "1.bias": BIAS}, "layer 1, ReLU"),
    "a layer too many": ({"0.weight": WEIGHT, "0.bias": BIAS, "7.bias": BIAS}, "KeyError('7')"),
    "a layer counted from the end": ({"-2.weight": WEIGHT, "-2.bias": BIAS}, "KeyError('-2')"),
    "a number in other words": ({"00.weight": WEIGHT, " 0.bias": BIAS}, "KeyError("),
    "a name without a number": ({"weight": WEIGHT, "0.bias": BIAS}, "KeyError('weight')"),
    "a name of two lines": ({"0.weight": WEIGHT, "0.bias": BIAS, "0.a\nb": BIAS}, r"'a\nb'"),
    "integers": ({"0.weight": WEIGHT.astype("i4"), "0.bias": BIAS}, "its parameters are no real numbers"),
    "booleans": ({"0.weight": WEIGHT.astype("?"), "0.bias": BIAS}, "its parameters are no real numbers"),
}


@pytest.mark.parametrize(("tensors", "words"), TENSORS.values(), ids=TENSORS.keys())
def test_tensors_of_wrong_name_shape_or_dtype_are_refused(tensors, words, file):
    crafted(file, tensors)
    assert words in str(refusal(file))


FOREIGN = {
    "nothing": (b"", "truncated, damaged or foreign"),
    "text": (b"epoch,loss\n1,0.5\n" * 10, "truncated, damaged or foreign"),
    "a pickle": (b"\x80\x04cos\nsystem\n(S'false'\ntR.", "truncated, damaged or foreign"),
    "a header of 2⁶² bytes": ((2**62).to_bytes(8, "little") + b"{}", "truncated, damaged or foreign"),
    "a header that is no UTF-8": ((3).to_bytes(8, "little") + b"{\xff}", "truncated, damaged or foreign"),
    "safetensors without metadata": (to_safetensors({"0.weight": WEIGHT}), "no network of portable_bp"),
    "safetensors of another tool": (to_safetensors({"a": WEIGHT}, {"format": "pt"}), "no network of portable_bp"),
    "a later format": (to_safetensors({}, {"portable_bp network 2": "{}"}), "no network of portable_bp"),
    "a format and no network": (to_safetensors({}, {FORMAT: ""}), "truncated, damaged or foreign"),
}


@pytest.mark.parametrize(("content", "words"), FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_file_is_refused(content, words, file):
    file.write_bytes(content)
    error = refusal(file)
    assert type(error) is bp.FileError
    assert words in str(error)


PATHS = {
    "a missing file": (lambda folder: folder / "nowhere", "there is no file"),
    "a file in a missing folder": (lambda folder: folder / "nowhere" / "net", "there is no file"),
    "a folder": (lambda folder: folder, "can't read"),
    "a name that no file can have": (lambda folder: folder / "a\n\0b", "no file can have this name"),
    "a device without an end": (lambda folder: Path("/dev/zero"), "it is a pipe or a device: copy what it gives"),
}


@pytest.mark.parametrize(("path", "words"), PATHS.values(), ids=PATHS.keys())
def test_a_path_that_is_no_file_is_refused(path, words, tmp_path):
    error = refusal(path(tmp_path))
    assert type(error) is bp.FileError
    assert words in str(error)
    assert "save() wrote" in str(error)


def test_an_unknown_backend_or_dtype_is_refused_as_what_it_is(file):
    crafted(file)
    assert type(refusal(file, backend="nunpy")) is bp.BackendError
    assert type(refusal(file, dtype="float16")) is bp.ConfigurationError


# -- what can't be written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        lambda folder: folder / "nowhere" / "net",
        lambda folder: folder / "a file" / "net",
        lambda folder: folder / ("a" * 300),
        lambda folder: folder / "a\0b",
    ],
    ids=["a missing folder", "a file for a folder", "too long a name", "a name that no file can have"],
)
def test_saving_where_no_file_can_be_is_refused_and_leaves_nothing_behind(path, tmp_path):
    (tmp_path / "a file").touch()
    with pytest.raises(bp.FileError) as caught:
        network().save(path(tmp_path))
    assert repr(str(path(tmp_path))) in str(caught.value)
    assert "name a folder that is there and writable" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [left.name for left in tmp_path.iterdir()] == ["a file"]


def test_saving_into_a_folder_that_is_not_writable_is_refused(tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write into a read-only folder")
    with pytest.raises(bp.FileError, match=re.escape("(Permission denied): name a folder that is there and writable")):
        network().save(folder / "net")
    assert list(folder.iterdir()) == []


def test_saving_in_place_of_a_folder_is_refused_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(bp.FileError, match=re.escape("(Is a directory): make room or name another file")):
        network().save(tmp_path / "folder")
    assert [left.name for left in tmp_path.iterdir()] == ["folder"]


def full_disk(descriptor):
    raise OSError(28, "No space left on device")


def interrupted(descriptor):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("fsync", "kind"), [(full_disk, bp.FileError), (interrupted, KeyboardInterrupt)], ids=["full disk", "interrupt"]
)
def test_a_save_that_fails_leaves_the_old_file_and_nothing_beside_it(fsync, kind, tmp_path, monkeypatch):
    path = tmp_path / "net"
    network(seed=1).save(path)
    old = path.read_bytes()
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(kind) as caught:
        network(seed=2).save(path)
    assert path.read_bytes() == old
    assert [left.name for left in tmp_path.iterdir()] == ["net"]
    if kind is bp.FileError:
        assert str(caught.value) == (
            f"can't write {str(path)!r} (No space left on device): make room or name another file; "
            "nothing was changed there"
        )


def test_a_save_waits_until_the_file_and_then_its_name_are_on_the_disk(tmp_path, monkeypatch):
    synced = []

    def sync(descriptor):
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), (tmp_path / "net").exists()))

    monkeypatch.setattr(os, "fsync", sync)
    network().save(tmp_path / "net")
    assert synced == [(False, False), (True, True)]


def test_a_file_system_that_syncs_no_folders_is_written_all_the_same(tmp_path, monkeypatch):
    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse_folders)
    network().save(tmp_path / "net")
    assert bits(bp.load(tmp_path / "net")) == bits(network())


def test_reading_takes_the_size_of_the_file_in_memory_and_little_more(tmp_path):
    path = tmp_path / "net"
    archive.write(path, {}, {"0.weight": np.zeros((1000, 2000)), "0.bias": np.zeros((1, 2000))})
    size = path.stat().st_size
    tracemalloc.start()
    try:
        archive.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 16_000_000
    assert peak < 1.05 * size


def test_a_description_that_would_swell_is_refused_before_it_is_read(file):
    file.write_bytes(to_safetensors({}, {FORMAT: "[" + "[]," * 2_000_000 + "[]]"}))
    tracemalloc.start()
    try:
        error = refusal(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert type(error) is bp.FileError
    assert peak < 4 * file.stat().st_size


def test_a_network_without_an_optimizer_in_use_is_saved_as_it_is(tmp_path):
    network().save(tmp_path / "net", optimizer=True)
    assert bp.load(tmp_path / "net").optimizer is None


def test_an_optimizer_is_loaded_in_another_dtype_with_its_state(tmp_path):
    net = network()
    net.fit(X, [0, 1, 2], optimizer=bp.Adam(0.1))
    net.save(tmp_path / "net", optimizer=True)
    wide = bp.load(tmp_path / "net", dtype="float64")
    wide.fit(X, [0, 1, 2], optimizer=bp.Adam(0.1))
    state = wide.state["optimizer"]
    assert (str(state["m"][0]["weight"].dtype), str(state["t"].dtype), int(state["t"])) == ("float64", "int64", 2)


def test_a_save_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "net"
    for seed in (1, 2):
        network(seed=seed).save(path)
    assert bits(bp.load(path)) == bits(network(seed=2))
    assert [left.name for left in tmp_path.iterdir()] == ["net"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_save_takes_the_place_of_a_link_and_leaves_alone_what_it_points_to(tmp_path):
    (tmp_path / "foreign").write_bytes(b"mine")
    (tmp_path / "net").symlink_to(tmp_path / "foreign")
    network().save(tmp_path / "net")
    assert (tmp_path / "foreign").read_bytes() == b"mine"
    assert not (tmp_path / "net").is_symlink()
    assert bits(bp.load(tmp_path / "net")) == bits(network())
