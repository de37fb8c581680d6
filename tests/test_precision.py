"""The precision of float32 products: off by default, refused where it can't be, and nothing of it left behind."""

import copy
import pickle
from contextlib import suppress

import array_api_compat.numpy
import numpy as np
import pytest

import portable_bp as bp
from portable_bp.precision import precisions_of

X, LABELS = np.random.default_rng(0).normal(size=(8, 3)), [0, 1, 0, 1, 0, 1, 1, 1]


def of_eleven_bits(x):
    """Float32 numbers with the bits that TF32 keeps."""
    return ((np.ascontiguousarray(x).view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


class TF32Namespace:
    def __getattr__(self, name):
        return getattr(array_api_compat.numpy, name)

    def __init__(self, backend):
        self._backend = backend

    def matmul(self, a, b):
        if self._backend.multiplies != "tf32":
            return np.matmul(a, b)
        return np.matmul(of_eleven_bits(a), of_eleven_bits(b))


class TF32Backend(bp.Backend):
    """NumPy with the products of a GPU that has TF32."""

    name, device, precisions = "tensor", "core", frozenset({"full", "tf32"})

    def __init__(self):
        self.multiplies = "full"
        self.xp = TF32Namespace(self)

    def asarray(self, host):
        return np.array(host)

    def to_numpy(self, array):
        return np.array(array)

    def owns(self, array):
        return isinstance(array, (np.ndarray, np.generic))

    def activate(self):
        self.xp._backend.multiplies = self.precision
        return super().activate()


def network(backend, **options):
    return bp.Network([bp.Dense(3, 4), bp.ReLU(), bp.Dense(4, 2)], bp.SoftmaxCrossEntropy(), backend=backend, **options)


def test_full_precision_is_the_default_everywhere(backend):
    net = network(backend)
    assert net.backend.precision == "full"
    assert "tf32" not in repr(net)
    assert network(backend, precision="full").backend is net.backend


def test_a_network_asks_its_backend_for_tf32_and_says_so():
    place = TF32Backend()
    full, net = network(place), network(place, precision="tf32")
    assert (place.precision, net.backend.precision) == ("full", "tf32")
    assert repr(net).startswith("Network on tensor:core, tf32, float32, seed 0")
    exact, rounded = full.predict(X), net.predict(X)
    assert 1e-7 < np.abs(exact - rounded).max() < 1e-2
    assert network(net.backend).backend.precision == "tf32"
    assert network(net.backend, precision="full").backend.precision == "full"


def test_gradient_checks_of_a_tf32_network_are_of_full_products():
    assert bp.check_gradients(network(TF32Backend(), precision="tf32"), X, LABELS).ok


def test_tf32_is_no_part_of_the_file(tmp_path):
    net = network(TF32Backend(), precision="tf32")
    net.save(tmp_path / "net.safetensors")
    assert bp.load(tmp_path / "net.safetensors", backend=TF32Backend()).backend.precision == "full"
    again = bp.load(tmp_path / "net.safetensors", backend=TF32Backend(), precision="tf32")
    assert again.backend.precision == "tf32"
    assert np.array_equal(again.predict(X), net.predict(X))


def test_a_backend_is_found_again_with_its_precision(monkeypatch):
    monkeypatch.setattr("portable_bp.backend._backend_named", lambda spec: TF32Backend())
    tf32 = TF32Backend().at_precision("tf32")
    assert pickle.loads(pickle.dumps(tf32)).precision == "tf32"
    assert copy.deepcopy(tf32) is tf32


REFUSED = {
    "a library without it": (
        lambda: network("numpy", precision="tf32"),
        "precision='tf32' on 'numpy': TF32 products need a CUDA GPU of compute capability 8.0 or higher; write "
        "precision='full', or leave it out",
    ),
    "float64": (
        lambda: network(TF32Backend(), precision="tf32", dtype="float64"),
        "precision='tf32' with dtype='float64': it is for float32; write dtype='float32' or precision='full'",
    ),
    "float64 on a backend that has it already": (
        lambda: network(TF32Backend().at_precision("tf32"), dtype="float64"),
        "precision='tf32' with dtype='float64': it is for float32; write dtype='float32' or precision='full'",
    ),
    "reproducible arithmetic": (
        lambda: network(TF32Backend(), precision="tf32", arithmetic="reproducible"),
        "precision='tf32' with arithmetic='reproducible': its bits are defined for full products alone; leave one of "
        "the two out",
    ),
    "reproducible arithmetic on a backend that has it already": (
        lambda: network(TF32Backend().at_precision("tf32"), arithmetic="reproducible"),
        "precision='tf32' with arithmetic='reproducible': its bits are defined for full products alone; leave one of "
        "the two out",
    ),
    "another name": (
        lambda: network("numpy", precision="half"),
        "precision='half': write 'full' or 'tf32'",
    ),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_tf32_is_refused_in_one_line(make, words):
    with pytest.raises(bp.ConfigurationError) as refused:
        make()
    assert str(refused.value) == words


def test_the_test_s_own_backends_on_the_host_have_no_tf32(backend):
    if backend.precisions == {"full"}:
        with pytest.raises(bp.ConfigurationError, match="compute capability 8"):
            backend.at_precision("tf32")
    else:
        assert network(backend, precision="tf32").backend.precision == "tf32"


@pytest.mark.parametrize(
    ("capability", "has"),
    [(8, 1), ("8", 1), ("9.0", 1), (12, 1), (7, 0), ("7.5", 0), ("gfx90a", 0), (None, 0), ("", 0)],
)
def test_gpus_from_ampere_on_have_tf32_and_unknown_ones_don_t(capability, has):
    assert ("tf32" in precisions_of(capability)) == bool(has)


def at_tf32(backend):
    """A backend at the precision that only a GPU has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "precisions", frozenset({"tf32"}))
        return backend.at_precision("tf32")


@pytest.fixture
def torch():
    found = pytest.importorskip("torch")
    yield found
    found.backends.cuda.matmul.fp32_precision = "ieee"
    found.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("before", ["highest", "high"])
def test_torch_s_setting_is_the_backend_s_within_activate_only(torch, before):
    place = bp.get_backend("torch")
    torch.set_float32_matmul_precision(before)
    with place.activate():
        assert torch.get_float32_matmul_precision() == "highest"
        with suppress(ZeroDivisionError), at_tf32(place).activate():
            assert torch.get_float32_matmul_precision() == "high"
            raise ZeroDivisionError
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == before


def test_torch_s_newer_setting_is_respected_too(torch):
    matmul = torch.backends.cuda.matmul
    if not hasattr(matmul, "fp32_precision"):
        pytest.skip("torch before 2.9 has one setting only")
    matmul.fp32_precision = "tf32"  # torch then refuses to be asked by the older name
    with bp.get_backend("torch").activate():
        assert matmul.fp32_precision == "ieee"
    assert matmul.fp32_precision == "tf32"


def test_jax_is_told_the_precision_within_activate_only():
    jax = pytest.importorskip("jax")
    place = bp.get_backend("jax")
    before = jax.config.jax_default_matmul_precision
    for backend, wanted in ((place, "highest"), (at_tf32(place), "tensorfloat32")):
        with backend.activate():
            assert jax.config.jax_default_matmul_precision == wanted
            lowered = jax.jit(jax.numpy.matmul).lower(*[jax.numpy.ones((2, 2), "float32")] * 2).as_text()
        assert ("HIGHEST" in lowered) == (wanted == "highest")
    assert jax.config.jax_default_matmul_precision == before
