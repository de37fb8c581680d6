"""Whole trainings: golden digests on every backend, whatever the number of threads and the BLAS kernels."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.backpropagation import Model, training_step
from portable_bp.checking import golden, verify_backends
from portable_bp.digest import digest
from portable_bp.reproducible import with_arithmetic

MNIST = Path(__file__).parents[2] / "examples" / "data" / "mnist"
QUICK = "MNIST 784-32-10, SGD, float32"


@pytest.mark.parametrize("name", golden.TRAININGS)
def test_every_training_has_its_golden_digest_on_every_backend(name, backend):
    if backend.name in ("strict", "read-only"):
        pytest.skip("the test-only backends compute with NumPy; the checks above hold them to its bits")
    assert golden.TRAININGS[name].digest(backend, MNIST) == golden.GOLDEN[name]


def test_every_training_has_a_golden_digest():
    assert set(golden.GOLDEN) == set(golden.TRAININGS)


ENVIRONMENTS = [
    {"OPENBLAS_NUM_THREADS": "1"},
    {"OPENBLAS_NUM_THREADS": "2"},
    {"OPENBLAS_CORETYPE": "HASWELL"},
    {"OPENBLAS_CORETYPE": "SKYLAKEX"},
    {"OPENBLAS_CORETYPE": "ZEN"},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: "=".join(*e.items()))
def test_threads_and_blas_kernels_change_no_bit(environment):
    if environment.get("OPENBLAS_CORETYPE") == "SKYLAKEX" and "avx512f" not in processor_flags():
        pytest.skip("this processor has no AVX-512 for OpenBLAS's SKYLAKEX kernels")
    program = (
        "from portable_bp import get_backend; from portable_bp.checking.golden import TRAININGS\n"
        f"print(TRAININGS[{QUICK!r}].digest(get_backend('numpy'), {str(MNIST)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == golden.GOLDEN[QUICK]


def processor_flags():
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax"])
def test_every_layer_loss_and_optimizer_has_numpy_s_bits(spec):
    pytest.importorskip(spec)
    rows = verify_backends([spec], arithmetic="reproducible")
    assert [row["case"] for row in rows if not row["ok"]] == []
    assert {row["tolerance"] for row in rows} == {0.0}


POPULATION_RULES = {
    "SGD": bp.SGD(0.3),
    "Adam": bp.Adam(bp.CosineDecay(0.01, steps=9)),
    "clipped and decayed": bp.ClipByGlobalNorm(bp.DecoupledWeightDecay(bp.Nesterov(0.1), 0.01), 0.2),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", POPULATION_RULES.values(), ids=POPULATION_RULES)
def test_a_member_of_a_population_ends_with_the_bits_that_it_gets_alone(rule, dtype, backend):
    place = with_arithmetic(backend, "reproducible")
    layers = [bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 4), bp.ReLU(), bp.Softmax(), bp.Dense(4, 3)]
    model = Model(layers, bp.SoftmaxCrossEntropy())
    x, target = np.random.default_rng(0).normal(size=(7, 6)).astype(dtype), np.arange(7) % 3
    alone = [bp.Network(layers, model.loss, dtype=dtype, seed=seed).params for seed in range(3)]
    stacked = [{n: np.stack([member[i][n] for member in alone]) for n in own} for i, own in enumerate(alone[0])]

    def trained(params):
        with place.activate():
            moved = [{n: place.asarray(a) for n, a in own.items()} for own in params]
            state = {
                "params": moved,
                "optimizer": rule.init(place.xp, moved),
                "step": place.xp.zeros((), dtype=place.xp.int64),
            }
            step = training_step(place.xp, model, rule)
            for _ in range(5):
                state, _ = step(state, (place.asarray(x), place.asarray(target)))
            return [{n: place.to_numpy(a) for n, a in own.items()} for own in state["params"]]

    together = trained(stacked)
    for k, member in enumerate(alone):
        assert digest([{n: a[k] for n, a in own.items()} for own in together]) == digest(trained(member))


class Swish(bp.Layer):
    """A layer of a user's own, which knows nothing of reproducible arithmetic."""

    def forward(self, xp, params, x):
        s = 1 / (1 + xp.exp(-x))
        return x * s, (x, s)

    def backward(self, xp, params, cache, dy):
        x, s = cache
        return dy * (s + x * s * (1 - s)), {}


@pytest.mark.parametrize("spec", ["torch", "jax"])
def test_a_custom_layer_gets_it_for_nothing(spec):
    pytest.importorskip(spec)
    x, y = bp.datasets.xor()

    def fingerprint(place):
        net = bp.Network(
            [bp.Dense(2, 8), Swish(), bp.Dense(8, 1)], bp.BinaryCrossEntropy(), backend=place, arithmetic="reproducible"
        )
        net.fit(x, y, optimizer=bp.Adam(0.05), epochs=20, batch_size=7)
        return net.digest()

    assert fingerprint(spec) == fingerprint("numpy")


def vanishing(case):
    """Trainings in which numbers fade until float32 can only hold them as subnormals."""
    noise = np.random.default_rng(0)
    x, y = noise.normal(size=(20, 6)).astype("float32"), noise.normal(size=(20, 1)).astype("float32")
    x[:, 3:] = 0
    small = [bp.Dense(6, 4), bp.ReLU(), bp.Dense(4, 1)]
    deep = [part for _ in range(18) for part in (bp.Dense(6, 6, weight_init=bp.Normal(0.05)), bp.Sigmoid())]
    one = [bp.Dense(1, 1, weight_init=bp.Uniform(1e-9), bias_init=bp.Uniform(1e-9))]
    far, zeros = -np.linspace(84, 88, 8, dtype="float32")[:, None], np.zeros((8, 1), "float32")
    return {
        "decoupled decay": (small, bp.HalfMeanSquaredError(), bp.DecoupledWeightDecay(bp.SGD(0.1), 2.0), x, y, 500),
        "L2": (small, bp.HalfMeanSquaredError(), bp.L2(bp.SGD(0.1), 2.0), x, y, 500),
        "deep sigmoids, SGD": ([*deep, bp.Dense(6, 1)], bp.BinaryCrossEntropy(), bp.SGD(0.1), x, y > 0, 5),
        "deep sigmoids, Adam": ([*deep, bp.Dense(6, 1)], bp.BinaryCrossEntropy(), bp.Adam(1e-3), x, y > 0, 5),
        "saturated logits": (one, bp.BinaryCrossEntropy(), bp.Adam(1e-3), far, zeros, 3),
    }[case]


@pytest.mark.parametrize("spec", ["torch", "jax"])
@pytest.mark.parametrize(
    "case", ["decoupled decay", "L2", "deep sigmoids, SGD", "deep sigmoids, Adam", "saturated logits"]
)
def test_numbers_that_fade_away_are_zero_at_the_same_step_everywhere(case, spec):
    pytest.importorskip(spec)

    def fingerprint(place):
        layers, loss, rule, x, y, epochs = vanishing(case)
        net = bp.Network(layers, loss, backend=place, arithmetic="reproducible")
        net.fit(x, y, optimizer=rule, epochs=epochs, batch_size=None)
        return net.digest()

    assert fingerprint(spec) == fingerprint("numpy")


def test_native_arithmetic_does_differ():
    """What the rest is for: the same training in native arithmetic on two libraries."""
    pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(256, 784)).astype("float32")
    y = np.arange(256) % 10

    def fingerprint(place):
        net = bp.Network([bp.Dense(784, 64), bp.Tanh(), bp.Dense(64, 10)], bp.SoftmaxCrossEntropy(), backend=place)
        net.fit(x, y, optimizer=bp.Adam(0.01), epochs=3)
        return net.digest()

    assert fingerprint("torch") != fingerprint("numpy")


def test_predictions_and_accuracy_in_reproducible_arithmetic_are_close_to_native_ones():
    x, y = bp.datasets.xor()
    nets = [
        bp.Network([bp.Dense(2, 8), bp.Tanh(), bp.Dense(8, 1)], bp.BinaryCrossEntropy(), arithmetic=arithmetic)
        for arithmetic in ("native", "reproducible")
    ]
    for net in nets:
        net.fit(x, y, optimizer=bp.Adam(0.05), epochs=5, batch_size=None)
    np.testing.assert_allclose(nets[0].predict(x), nets[1].predict(x), rtol=1e-4)
    assert "reproducible" in repr(nets[1])


def test_the_digest_tells_names_shapes_dtypes_and_bytes_apart():
    net = bp.Network([bp.Dense(2, 3)], bp.MeanSquaredError())
    same = bp.Network([bp.Dense(2, 3)], bp.MeanSquaredError(), params=net.params)
    assert net.digest() == same.digest()
    changed = [dict(own) for own in net.params]
    changed[0]["weight"] = np.nextafter(changed[0]["weight"], np.float32(9))
    others = [
        bp.Network([bp.Dense(2, 3)], bp.MeanSquaredError(), params=changed),
        bp.Network([bp.Dense(2, 3)], bp.MeanSquaredError(), params=net.params, dtype="float64"),
        bp.Network([bp.Dense(2, 3, bias=False)], bp.MeanSquaredError(), params=[{"weight": net.params[0]["weight"]}]),
    ]
    assert len({net.digest(), *(other.digest() for other in others)}) == 4


def test_the_first_difference_of_two_trainings_is_named():
    class Off(type(bp.get_backend("numpy"))):
        def asarray(self, host):
            return super().asarray(host) * (1 if host.dtype.kind != "f" else host.dtype.type(1.0001))

    training = golden.TRAININGS["xor, SGD, float32"]
    found = golden.first_difference(training, Off(), bp.get_backend("numpy"))
    assert found.startswith("step 1, 0.weight: differs by up to")
    assert golden.first_difference(training, bp.get_backend("numpy"), bp.get_backend("numpy")) is None


@pytest.mark.parametrize("arithmetic", ["exact", "", 1])
def test_an_unknown_arithmetic_is_refused(arithmetic):
    with pytest.raises(bp.ConfigurationError, match="write 'native' or 'reproducible'"):
        bp.Network([bp.Dense(2, 3)], bp.MeanSquaredError(), arithmetic=arithmetic)
