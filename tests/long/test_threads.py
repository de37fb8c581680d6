"""Networks that train at the same time, in threads or processes, end with the bits that each gets alone.

Each test comes in two sizes: a small one for every day, and a large one with the marker ``long``.
"""

import multiprocessing
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest

import portable_bp as bp

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(96, 12)), RNG.integers(0, 4, 96)
RULES = [bp.Adam(0.01), bp.Momentum(0.05), bp.RMSProp(0.01)]


def trained(spec, arithmetic, seed, epochs):
    """The digest of a small network after its training, mini-batches and full batches, with masks and measurements."""
    width = 8 + 4 * (seed % 3)  # other shapes in other threads
    layers = [bp.Dense(12, width), bp.ReLU(), bp.Dropout(0.2), bp.Dense(width, 4)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=spec, seed=seed, arithmetic=arithmetic)
    rule = RULES[seed % len(RULES)]
    net.fit(X, Y, optimizer=rule, epochs=epochs, batch_size=20, validation=(X[:9], Y[:9]), progress=False)
    net.fit(X, Y, optimizer=rule, epochs=4 * epochs, batch_size=None, progress=False)
    return net.digest(), net.predict(X).tobytes()


def wide(spec, seed, epochs):
    """The digest of a network whose optimizer Numba compiles while it trains, where it is installed."""
    net = bp.Network(
        [bp.Dense(12, 400), bp.Tanh(), bp.Dense(400, 4)], bp.SoftmaxCrossEntropy(), backend=spec, seed=seed
    )
    net.fit(X, Y, optimizer=bp.Adam(0.01), epochs=epochs, batch_size=20, progress=False)
    return net.digest()


def in_threads(calls):
    """Results of all calls, begun at the same moment."""
    barrier = threading.Barrier(len(calls))

    def begun(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begun, calls))


def installed(specs):
    found = []
    for spec in specs:
        try:
            found.append(bp.get_backend(spec).name)
        except bp.BackendError:
            continue
    return found


EVERY = ["numpy", "torch", "jax"]


@pytest.mark.parametrize(
    ("specs", "arithmetic", "epochs", "number", "rounds"),
    [
        pytest.param(["numpy"], "native", 2, 6, 1, id="numpy"),
        pytest.param(["numpy"], "reproducible", 2, 6, 1, id="numpy-reproducible"),
        pytest.param(EVERY, "native", 1, 3, 1, id="all"),
        pytest.param(["numpy"], "native", 20, 9, 10, id="numpy-long", marks=pytest.mark.long),
        pytest.param(["numpy"], "reproducible", 20, 9, 10, id="numpy-reproducible-long", marks=pytest.mark.long),
        pytest.param(EVERY, "native", 3, 9, 2, id="all-long", marks=pytest.mark.long),
        pytest.param(EVERY, "reproducible", 1, 6, 1, id="all-reproducible-long", marks=pytest.mark.long),
    ],
)
def test_threads_that_train_on_all_backends_get_the_bits_that_each_gets_alone(
    specs, arithmetic, epochs, number, rounds, report
):
    found = installed(specs)
    work = [(found[i % len(found)], arithmetic, i, epochs) for i in range(number)]
    alone = [trained(*one) for one in work]
    for _ in range(rounds):
        assert in_threads([lambda one=one: trained(*one) for one in work]) == alone
    report(f"threads: {', '.join(found)}, {arithmetic}", threads=number, trainings=number * rounds, differing=0)


@pytest.mark.parametrize("epochs", [20, pytest.param(1_000, marks=pytest.mark.long)])
def test_numba_compiles_in_several_threads_at_once(epochs, report, monkeypatch):
    pytest.importorskip("numba", exc_type=Exception)
    from portable_bp_numpy import fused, replay

    monkeypatch.setattr(replay, "PATIENCE", 0.0)
    fused._compiled.cache_clear()
    together = in_threads([lambda seed=seed: wide("numpy", seed, epochs) for seed in range(4)])
    assert fused._compiled.cache_info().currsize > 0
    assert together == [wide("numpy", seed, epochs) for seed in range(4)]
    monkeypatch.setattr(fused, "compiler", lambda: None)
    assert together == [wide("numpy", seed, epochs) for seed in range(4)]
    report("threads: Numba", threads=4, epochs=epochs, differing=0)


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax"])
def test_one_network_may_be_used_by_many_threads_while_another_trains(spec, require_backend):
    require_backend(spec)
    layers = [bp.Dense(12, 8), bp.Tanh(), bp.Dense(8, 4)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=spec, seed=5)
    expected = net.predict(X).tobytes(), net.evaluate(X, Y), net.gradients(X, Y)[0]

    def used():
        found = [(net.predict(X).tobytes(), net.evaluate(X, Y), net.gradients(X, Y)[0]) for _ in range(10)]
        return all(one == expected for one in found)

    *rest, _ = in_threads([used, used, used, lambda: trained(spec, "native", 0, 1)])
    assert rest == [True, True, True]


def test_numpy_s_error_state_and_torch_s_gradients_stay_the_thread_s_own(require_backend):
    torch = require_backend("torch")._torch
    before = np.geterr(), torch.is_grad_enabled()
    states = in_threads([
        lambda: (trained("numpy", "native", 0, 2), np.geterr())[1],
        lambda: (trained("torch", "native", 1, 2), torch.is_grad_enabled())[1],
        lambda: (np.geterr(), torch.is_grad_enabled()),
    ])  # fmt: skip
    assert states == [before[0], before[1], before]
    assert (np.geterr(), torch.is_grad_enabled()) == before


def test_backends_asked_for_in_many_threads_are_one(require_backend):
    from portable_bp.backend import _backend_named

    require_backend("torch")
    _backend_named.cache_clear()
    found = in_threads([lambda: bp.get_backend("torch") for _ in range(8)])
    assert {backend.spec for backend in found} == {"torch:cpu"}
    assert all(bp.get_backend("torch").owns(one.xp.ones((2,))) for one in found)


STARTED = """
import importlib.util, multiprocessing, sys

spec = importlib.util.spec_from_file_location("work", sys.argv[1])
work = sys.modules["work"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(work)
alone = [work.trained(*one) for one in work.SHARED]
with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
    assert pool.starmap(work.trained, work.SHARED) == alone
from joblib import Parallel, delayed
assert Parallel(2, backend="multiprocessing")(delayed(work.trained)(*one) for one in work.SHARED) == alone
print(len(alone))
"""
SHARED = [("numpy", arithmetic, seed, 2) for seed in range(2) for arithmetic in ("native", "reproducible")]


def test_forked_processes_get_the_bits_that_their_parent_got(report):
    """In a process of its own: here JAX may be at work already, whose threads don't survive a fork."""
    pytest.importorskip("joblib")
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this system")
    command = [sys.executable, "-c", STARTED, __file__, "fork"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, f"{len(SHARED)}\n"), done.stderr
    report("processes: fork", processes=2, trainings=2 * len(SHARED), differing=0)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("specs", [["numpy"], pytest.param(["numpy", "torch"], marks=pytest.mark.long)], ids=str)
def test_processes_get_the_bits_that_this_one_gets(method, specs, report):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    work = [*SHARED, *((spec, "native", 2, 2) for spec in installed(specs))]
    alone = [trained(*one) for one in work]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(trained, work) == alone
    report(f"processes: {method}", processes=2, trainings=len(work), differing=0)


@pytest.mark.skipif(find_spec("joblib") is None, reason="joblib isn't installed")
@pytest.mark.parametrize("kind", ["loky", "threading"])
def test_jobs_of_joblib_get_the_bits_that_this_process_gets(kind, report):
    from joblib import Parallel, delayed

    alone = [trained(*one) for one in SHARED]
    assert Parallel(n_jobs=2, backend=kind)(delayed(trained)(*one) for one in SHARED) == alone
    report(f"joblib: {kind}", processes=2, trainings=len(SHARED), differing=0)
