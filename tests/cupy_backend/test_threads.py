"""Populations trained by a thread a member, against the plain loop, on the fake CuPy."""

import re
import shutil
import subprocess
import warnings
from functools import reduce

import fake_cupy
import numpy as np
import pytest
from fake_cupy import bare
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import portable_bp as bp
from portable_bp.backend import Backend
from portable_bp.checking.cases import LAYERS, LOSSES, OPTIMIZERS
from portable_bp_cupy import CupyBackend, guard
from portable_bp_cupy.captured import forms
from portable_bp_cupy.compiled import CompiledEpoch
from portable_bp_cupy.recorded import record
from portable_bp_cupy.threads import launching
from portable_bp_cupy.threads.axes import Unfit
from portable_bp_cupy.threads.launching import Threads, options
from portable_bp_cupy.threads.registers import NAME, functions
from portable_bp_numpy.replay import leaves_of

NVCC = shutil.which("nvcc")
RNG = np.random.default_rng(5)
X, LABELS = RNG.normal(size=(12, 6)), RNG.integers(0, 4, 12)
CLOSE = {"float32": 2e-5, "float64": 1e-11}
NETWORK = [bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 4)]
OWN_NUMBERS = {
    "Adam, own numbers": lambda k: bp.Adam(0.013 + 0.011 * k, 0.9 - 0.07 * k, 0.99 + 0.0013 * k, 1e-8 * (k + 1)),
    "clipped and decayed, own numbers": lambda k: bp.ClipByGlobalNorm(
        bp.DecoupledWeightDecay(bp.Nesterov(0.1 + 0.03 * k, 0.7 + 0.01 * k), 0.01 * k), 0.2 + 0.13 * k
    ),
}
RULES = {**{name: lambda k, rule=rule: rule for name, rule in OPTIMIZERS.items()}, **OWN_NUMBERS}


@pytest.fixture
def compared(gpu, monkeypatch):
    """Every compiled epoch is held to the plain loop in each call; gives the list of those that were called."""
    made = []

    def compile_both(self, step, *, as_written=False):
        plain = Backend.compile(self, step)
        own = CompiledEpoch(self._cupy, self.xp, step, plain, exact=as_written, tf32=False)

        def epoch(state, data, orders):
            if own not in made:
                made.append(own)
            before = {path: np.array(array) for path, array in leaves_of(state)}
            (found, losses), (expected, expected_losses) = own(state, data, orders), plain(state, data, orders)
            pairs = [(losses, expected_losses)]
            pairs += [(array, dict(leaves_of(expected))[path]) for path, array in leaves_of(found)]
            for array, wanted in pairs:
                assert gpu.owns(array)
                tolerance = 0 if as_written else CLOSE[str(losses.dtype)]
                np.testing.assert_allclose(bare(array), bare(wanted), rtol=tolerance, atol=tolerance, strict=True)
            for path, array in leaves_of(state):
                np.testing.assert_array_equal(bare(array), before[path], err_msg=f"{path} was written into")
            return found, losses

        return epoch

    monkeypatch.setattr(CupyBackend, "compile", compile_both)
    return made


def networks(place, layers=NETWORK, loss=None, count=3, **options):
    loss = loss or bp.SoftmaxCrossEntropy()
    return [bp.Network(layers, loss, backend=place, seed=seed, **options) for seed in range(count)]


def require_threads(made, orders):
    """Require that threads trained, on batches of so many forms."""
    assert [epoch.kinds for epoch in made] == [["threads"] * orders]


@pytest.fixture
def alone(monkeypatch):
    """One thread a member, as where there are thousands of them; else several share its rows."""
    return lambda one: monkeypatch.setattr(launching, "FULL", 1 if one else 16384)


@pytest.mark.parametrize(("dtype", "batch_size"), [("float64", 5), ("float32", None)])
@pytest.mark.parametrize("rule", RULES)
def test_every_optimizer_and_schedule_is_done_by_threads(gpu, compared, alone, rule, batch_size, dtype):
    alone(batch_size is None)
    rules = [RULES[rule](k) for k in range(3)]
    bp.fit_together(networks(gpu, dtype=dtype), X, LABELS, optimizers=rules, epochs=2, batch_size=batch_size)
    require_threads(compared, 1 if batch_size is None else 2)


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)
def test_every_layer_is_done_by_threads(gpu, compared, alone, layer, shape, batch_size):
    alone(batch_size is None)
    n_in, n_out = (layer.n_in, layer.n_out) if isinstance(layer, bp.Dense) else (6, 6)
    layers = [bp.Dense(6, n_in), layer, bp.Dense(n_out, 4)] if shape == (6,) else [layer, bp.Dense(6, 4)]
    made = networks(gpu, layers, dtype="float64", input_shape=(6,) if shape == (6,) else shape)
    x = X if shape == (6,) else X.reshape(12, *shape)
    bp.fit_together(made, x, LABELS, optimizers=bp.Adam(), epochs=2, batch_size=batch_size)
    require_threads(compared, 1 if batch_size is None else 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_is_done_by_threads_with_and_without_weights(gpu, compared, alone, loss, weighted):
    alone(weighted)
    target = LABELS if loss.target_kind == "labels" else np.eye(4)[LABELS]
    weights = {"sample_weight": RNG.random(12)} if weighted else {}
    made = networks(gpu, [bp.Dense(6, 4)], loss, dtype="float64")
    bp.fit_together(made, X, target, optimizers=bp.Momentum(), epochs=3, batch_size=None, **weights)
    require_threads(compared, 1)


FIRST = {
    "images": [bp.Flatten(), bp.Dense(6, 4)],
    "dropout of images": [bp.Dropout(0.4), bp.Flatten(), bp.Dense(6, 4)],
    "a function of images": [bp.Tanh(), bp.Flatten(), bp.Dense(6, 4)],
}


@pytest.mark.parametrize("batch_size", [None, 5, 11])
@pytest.mark.parametrize("layers", FIRST.values(), ids=FIRST)
def test_what_stands_before_the_first_dense_layer_is_done_by_threads(gpu, compared, alone, layers, batch_size):
    alone(batch_size is None)
    made = networks(gpu, layers, dtype="float64", input_shape=(2, 3))
    bp.fit_together(made, X.reshape(12, 2, 3), LABELS, optimizers=bp.SGD(), epochs=2, batch_size=batch_size)
    require_threads(compared, 1 if batch_size is None else 2)  # of 12 rows, 11 leave a batch of one


def test_batches_that_are_the_same_for_all_members_are_read_once_for_each(gpu, compared):
    bp.fit_together(networks(gpu, dtype="float64"), X, LABELS, epochs=2, batch_size=5, shuffle=False)
    require_threads(compared, 2)


def test_arrays_with_a_number_for_each_member_may_be_constants_of_the_step(gpu, compared):
    rates = gpu.asarray(np.asarray([0.1, 0.01, 0.001]).reshape(3, 1, 1))
    model = bp.backpropagation.Model([bp.Dense(6, 4)], bp.SoftmaxCrossEntropy())
    params = [{"weight": gpu.asarray(RNG.normal(size=(3, 6, 4))), "bias": gpu.asarray(np.zeros((3, 1, 4)))}]
    rule = bp.Adam(rates)
    state = {"params": params, "optimizer": rule.init(gpu.xp, params), "step": gpu.asarray(np.zeros((), np.int64))}
    epoch = gpu.compile(bp.backpropagation.training_step(gpu.xp, model, rule))
    epoch(*epoch(state, (gpu.asarray(X), gpu.asarray(LABELS)), [4])[:1], (gpu.asarray(X), gpu.asarray(LABELS)), [3])
    require_threads(compared, 1)


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("one", [True, False], ids=["a thread", "several"])
@pytest.mark.parametrize("middle", [[bp.ReLU()], [bp.Sigmoid(), bp.Dropout(0.3)]], ids=str)
def test_reproducible_arithmetic_keeps_its_bits(gpu, compared, alone, middle, batch_size, one):
    alone(one)
    layers = [bp.Dense(6, 3), *middle, bp.Dense(3, 2)]
    together, singly = (networks(place, layers, arithmetic="reproducible") for place in (gpu, "numpy"))
    rules = [bp.Momentum(0.1 + 0.03 * k, 0.3 + 0.1 * k) for k in range(3)]
    bp.fit_together(together, X[:8], LABELS[:8] % 2, optimizers=rules, epochs=[3, 2, 3], batch_size=batch_size)
    for network, rule, epochs in zip(singly, rules, [3, 2, 3], strict=True):
        network.fit(X[:8], LABELS[:8] % 2, optimizer=rule, epochs=epochs, batch_size=batch_size)
    assert [network.digest() for network in together] == [network.digest() for network in singly]
    assert set(compared[0].kinds) == {"threads"}


def test_only_native_arithmetic_rounds_quotients_as_it_likes(gpu, monkeypatch):
    seen, original = [], fake_cupy.RawModule.__init__

    def compiled(self, code, options):
        if NAME in code:
            seen.append(("-prec-div=false" in options, "log1p_straight(v" in code))
        original(self, code, options)

    monkeypatch.setattr(fake_cupy.RawModule, "__init__", compiled)
    layers = [bp.Dense(6, 2), bp.Softplus(), bp.Dense(2, 4)]
    for arithmetic in ("native", "reproducible"):
        made = networks(gpu, layers, arithmetic=arithmetic)
        bp.fit_together(made, X[:4], LABELS[:4], optimizers=bp.SGD(), epochs=2, batch_size=None)
    assert seen == [(True, True), (False, False)]


@pytest.mark.parametrize("batch_size", [None, 2])
def test_more_steps_than_a_launch_is_given_are_done_in_parts(gpu, compared, monkeypatch, batch_size):
    monkeypatch.setattr(launching, "STEPS", 4)
    bp.fit_together(networks(gpu, dtype="float64"), X, LABELS, optimizers=bp.Adam(), epochs=9, batch_size=batch_size)
    require_threads(compared, 1)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
def test_a_member_that_diverges_does_so_alone(gpu):
    layers, y = [bp.Dense(6, 5), bp.Dense(5, 1)], X[:, :1] * 0.5
    together, singly = (networks(place, layers, bp.MeanSquaredError(), 4, dtype="float64") for place in (gpu, "numpy"))
    rules = [bp.SGD(rate) for rate in (0.01, 1e30, 0.02, 1e3)]
    histories = bp.fit_together(together, X, y, optimizers=rules, epochs=[40, 40, 30, 40], batch_size=None)
    for network, rule, history, epochs in zip(singly, rules, histories, [40, 40, 30, 40], strict=True):
        if history.error is None:
            network.fit(X, y, optimizer=rule, epochs=epochs, batch_size=None)
        else:
            with pytest.raises(bp.NonFiniteError, match=re.escape(str(history.error))):
                network.fit(X, y, optimizer=rule, epochs=epochs, batch_size=None)
    assert [history.error is None for history in histories] == [True, False, True, False]
    for one, other in zip(together, singly, strict=True):
        np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-9)
        assert one.history["loss"] == pytest.approx(other.history["loss"], rel=1e-9)


def captured(gpu, step, state, data, order):
    """Threads for a step, with the numbers that they and the plain loop come to."""
    own = Threads(gpu._cupy, record(step, state, forms(data, order), gpu.xp), order, exact=False)
    losses = np.concatenate([bare(part) for part in own(dict(leaves_of(state)), data, order)])
    expected, expected_losses = Backend.compile(gpu, step)(state, data, [order])
    return own, [(losses, expected_losses)] + [(own.state[path], array) for path, array in leaves_of(expected)]


K = 3
SIMPLE = [np.tanh, np.negative, lambda x: np.swapaxes(x, -1, -2), lambda x: np.sum(x, axis=-2, keepdims=True) + 0 * x]
SIMPLE += [lambda x: np.max(x, axis=-1, keepdims=True) - x, lambda x: np.min(x, axis=(-2, -1), keepdims=True) * x]
SIMPLE += [lambda x: np.concatenate([x[..., 1:], 2 * x[..., :1]], axis=-1), lambda x: np.stack([x, x + 1])[1]]
SIMPLE += [lambda x: np.reshape(np.reshape(x, (*x.shape[:-2], 9))[..., 2:], (*x.shape[:-2], 7, 1))[..., :3, :] * x]
DOUBLE = [np.add, np.multiply, np.matmul, lambda x, y: np.where(x > y, x, 0.5 * y), lambda x, y: x - y[..., 1:2, :]]
DOUBLE += [lambda x, y: np.matmul(np.swapaxes(x, -1, -2), y), lambda x, y: x * y[..., :1]]
CALLS = st.tuples(st.integers(0, len(SIMPLE) - 1), st.integers(0, 9)) | st.tuples(
    st.integers(0, len(DOUBLE) - 1), st.integers(0, 9), st.integers(0, 9)
)
ROWS = ["whole", "shared", "own"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(CALLS, min_size=1, max_size=8),
    st.lists(st.integers(0, 99), min_size=3, max_size=3),
    st.sampled_from(ROWS),
    st.booleans(),
)
def test_random_programs_give_the_plain_loops_numbers(gpu, alone, program, chosen, rows, one):
    """Members, rows and numbers with 3 × 3 of each: what is not refused must be right."""
    alone(one)
    table = gpu.asarray(np.arange(7.0) / 7)
    simple = [*SIMPLE, lambda x: gpu.xp.take(table, np.where(x > 0, 4, 1), axis=0) * x]

    def step(state, batch):
        x = np.reshape(batch[0], (K, 3, 3)) if rows == "own" else batch[0]
        known = [state["p"], state["q"], x]
        for which, *of in program:
            given = [known[-1 - i % len(known)] for i in of]
            known.append(np.tanh((simple if len(of) == 1 else DOUBLE)[which](*given)))
        p, q, loss = (known[-1 - i % len(known)] for i in chosen)
        summed = np.matmul(np.swapaxes(x, -1, -2), loss)
        return {"p": p + 0 * state["q"], "q": state["p"] - 0.1 * q}, np.sum(summed * state["q"], axis=(-2, -1))

    rng = np.random.default_rng(0)
    state = {name: gpu.asarray(rng.normal(size=(K, 3, 3))) for name in "pq"}
    order = rng.integers(0, 7, (3, 3 * K if rows == "own" else 3))
    data = (gpu.asarray(rng.normal(size=(3 if rows == "whole" else 7, 3))),)
    try:
        _, pairs = captured(gpu, step, state, data, 3 if rows == "whole" else gpu.asarray(order))
    except Unfit:
        assume(False)
    for found, expected in pairs:
        np.testing.assert_allclose(bare(found), bare(expected), rtol=1e-9, atol=1e-12)


EXCHANGES = {
    "exchanged": lambda xp, p, q: (q, p),
    "turned": lambda xp, p, q: (xp.matrix_transpose(p), q + p),
    "the same twice": lambda xp, p, q: (p + q, p + q),
    "read after its successor": lambda xp, p, q: (p * 2, (p * 2) * p + xp.matrix_transpose(p)),
    "a view of the successor": lambda xp, p, q: (xp.matrix_transpose(p + q), p + q),
    "one of them stays": lambda xp, p, q: (p, q + p),
}


@pytest.mark.parametrize("change", EXCHANGES.values(), ids=EXCHANGES)
def test_awkward_changes_of_the_state_are_done_by_threads(gpu, change):
    def step(state, batch):
        p, q = change(gpu.xp, state["p"], state["q"])
        total = gpu.xp.sum(state["p"] * q, axis=(-2, -1))
        return {"p": p, "q": q, "t": state["t"] + 1}, total * gpu.xp.sum(batch[0])

    state = {name: gpu.asarray(RNG.normal(size=(3, 2, 2))) for name in "pq"}
    state["t"] = gpu.asarray(np.zeros((), np.int64))
    _, pairs = captured(gpu, step, state, (gpu.asarray(X),), 3)
    for found, expected in pairs:
        np.testing.assert_allclose(bare(found), bare(expected), rtol=1e-12)


NO_MEMBERS = {
    "one takes from the others": (lambda xp, p: p - xp.sum(p, axis=0, keepdims=True) / 3, (3, 2)),
    "they change places": (lambda xp, p: xp.flip(p, axis=0) * 1, (3, 2)),
    "sums are taken in unusual ways": (lambda xp, p: p - np.sum(p, -1, keepdims=True), (3, 2)),
    "there is only one": (lambda xp, p: p * 0.5, (1, 2)),
    "they need much room": (
        lambda xp, p: p + xp.sum(xp.expand_dims(p, axis=-1) * xp.arange(2000, dtype=p.dtype), axis=-1),
        (3, 2),
    ),
    "they take long": (lambda xp, p: reduce(lambda y, _: xp.tanh(y), range(60), p), (2, 300)),
    "they are large": (lambda xp, p: p * 0.5, (2, 2000)),
}


@pytest.mark.parametrize(("change", "shape"), NO_MEMBERS.values(), ids=NO_MEMBERS)
def test_what_no_thread_can_do_alone_is_captured_without_a_word(gpu, change, shape):
    def step(state, batch):
        after = {"p": change(gpu.xp, state["p"]) + gpu.xp.sum(batch[0]), "t": state["t"] + 1}
        return after, gpu.xp.sum(state["p"] * state["p"], axis=-1)

    state = {"p": gpu.asarray(RNG.normal(size=shape)), "t": gpu.asarray(np.zeros((), np.int64))}
    epoch, data = gpu.compile(step), (gpu.asarray(X),)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, losses = epoch(state, data, [3])
    assert epoch.kinds == ["graph"]
    expected, expected_losses = Backend.compile(gpu, step)(state, data, [3])
    np.testing.assert_allclose(bare(found["p"]), bare(expected["p"]), rtol=1e-12)
    np.testing.assert_allclose(bare(losses), bare(expected_losses), rtol=1e-12)


def test_networks_too_large_for_a_thread_are_captured(gpu, compared):
    layers = [bp.Dense(6, 40), bp.Tanh(), bp.Dense(40, 4)]
    bp.fit_together(networks(gpu, layers, dtype="float64"), X, LABELS, optimizers=bp.Adam(), epochs=2, batch_size=None)
    assert compared[0].kinds == ["graph"]


def test_one_kernel_serves_any_number_of_members_and_steps(gpu, compared):
    before = len(fake_cupy.RawModule.sources)
    for count in (2, 3, 33):
        bp.fit_together(networks(gpu, count=count), X, LABELS, optimizers=bp.SGD(), epochs=count % 5, batch_size=None)
    assert len(set(fake_cupy.RawModule.sources[before:])) == 1


def test_the_logarithm_without_a_branch_is_right_within_a_unit_in_the_last_place(gpu):
    kernel = (
        'extern "C" __global__ void one(const float* x, float* y) { y[blockIdx.x] = log1p_straight(x[blockIdx.x]); }'
    )
    ends = np.asarray([-np.inf, -2, -1, -0.0, 0.0, 1e-45, 3e38, np.inf, np.nan])
    parts = [
        RNG.random(100_000),
        np.exp(-80 * RNG.random(100_000)),
        -RNG.random(100_000),
        np.exp(80 * RNG.random(100_000)),
    ]
    x = np.concatenate([ends, *parts]).astype("float32")
    y = gpu.asarray(np.empty_like(x))
    gpu._cupy.RawModule(f"{functions()}\n{kernel}", options(exact=False)).get_function("one")(
        (len(x),), (1,), (gpu.asarray(x), y)
    )
    with np.errstate(all="ignore"):
        expected = np.log1p(x.astype("float64"))
        units = np.spacing(np.abs(expected).astype("float32")).astype("float64")
        errors = np.abs(bare(y) - expected) / units
    np.testing.assert_array_equal(bare(y)[:9], expected.astype("float32")[:9])
    assert np.nanmax(errors[9:]) < 1


def encoder_step(gpu, rule, dtype="float32"):
    """Step, state and data of three encoders 8-3-8, in which the mutants live."""
    made = networks(gpu, [bp.Dense(8, 3), bp.Sigmoid(), bp.Dense(3, 8)], bp.BinaryCrossEntropy(), dtype=dtype)
    seen = []

    def compile_none(self, step, *, as_written=False):
        return lambda *given: seen.extend([step, *given]) or Backend.compile(self, step)(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CupyBackend, "compile", compile_none)
        x = np.eye(8) + 0.1
        bp.fit_together(made, x, np.eye(8), optimizers=[rule(k) for k in range(3)], epochs=1, batch_size=None)
    return seen[:3]


BOUND, TERM = re.compile(r"i\d < (\d+)"), re.compile(r"fma\([^;]*, (\w+(?:\[[^\]]*\])?)\);")
EXCHANGE = re.compile(r"other = __shfl_xor_sync[^;]*;[^;]*;")


def mutants(lines):
    """Line by line: one bound a turn short, one product left out, one member, row or step left out, a sign turned."""
    for n, line in list(enumerate(lines))[functions().count("\n") :]:
        empties = "= (0x0.0p+0);" in "".join(lines[n : n + 3])  # a sum that starts with something else is undefined
        for found in BOUND.finditer(line) if not empties else ():
            yield n, line[: found.start(1)] + str(int(found[1]) - 1) + line[found.end(1) :]
        for found in TERM.finditer(line):
            yield n, f"{line[: found.start()]}{found[1]};"
        for right, wrong in (
            ("r < 8", "r < 7"),
            ("k >= members", "k >= members - 1"),
            ("step < steps", "step > steps"),
        ):
            if right in line:
                yield n, line.replace(right, wrong)
        if " - v" in line or " - x" in line:
            yield n, line.replace(" - v", " + v").replace(" - x", " + x")


@pytest.mark.parametrize("one", [True, False], ids=["a thread", "several"])
def test_a_kernel_that_leaves_something_out_is_found_whatever_it_is(gpu, alone, one):
    alone(one)
    step, state, data = encoder_step(gpu, lambda k: bp.SGD(0.3 + 0.1 * k), "float64")
    recording, plain = record(step, state, forms(data, 1), gpu.xp), Backend.compile(gpu, step)
    tried = Threads(gpu._cupy, recording, 1, exact=False)
    guard.check(tried, plain, state, data, 1, exact=False)
    lines = tried.source.splitlines()
    start, wrong = functions().count("\n"), list(mutants(lines))
    assert len(wrong) > 50
    kernels = ["\n".join([*lines[start:n], line, *lines[n + 1 :]]) for n, line in wrong]
    kernels = [kernel.replace(NAME, f"{NAME}_{number}") for number, kernel in enumerate(kernels)]
    module = gpu._cupy.RawModule(code="\n".join([functions(), *kernels]), options=options(exact=False))
    survivors = []
    for number, (n, line) in enumerate(wrong):
        tried._function = module.get_function(f"{NAME}_{number}")
        try:
            guard.check(tried, plain, state, data, 1, exact=False)
            survivors.append((lines[n], line))
        except guard.Differs:
            continue
    assert not survivors


def test_a_wrong_kernel_is_not_used_and_said(gpu, monkeypatch):
    step, state, data = encoder_step(gpu, lambda k: bp.SGD(0.3))
    original = fake_cupy.RawModule.__init__
    monkeypatch.setattr(
        fake_cupy.RawModule,
        "__init__",
        lambda self, code, options: original(self, code.replace("r < 8", "r < 7"), options),
    )
    epoch = gpu.compile(step)
    with pytest.warns(RuntimeWarning, match="by a captured graph and not by a thread a member, .* failed its check"):
        _, losses = epoch(state, data, [5])
    assert epoch.kinds == ["graph"]
    np.testing.assert_allclose(bare(losses), bare(Backend.compile(gpu, step)(state, data, [5])[1]), rtol=1e-5)


def nvidia_compiled(source, path, *more):
    path.write_text(source)
    chosen = [*options(exact=False), *more, "-arch=sm_90", "--Werror=all-warnings"]
    return subprocess.run([NVCC, *chosen, "-o", str(path) + ".out", str(path)], text=True, capture_output=True)


RULES_IN_REGISTERS = {
    "SGD": lambda k: bp.SGD(0.1 + k),
    "Momentum": lambda k: bp.Momentum(0.1 + k),
    "Adam": lambda k: bp.Adam(0.1 + k),
}


@pytest.mark.skipif(NVCC is None, reason="nvcc is not installed, which would compile the kernels")
@pytest.mark.parametrize("rule", RULES_IN_REGISTERS)
def test_nvidias_compiler_finds_registers_for_an_encoder(gpu, alone, tmp_path, rule):
    alone(True)
    step, state, data = encoder_step(gpu, RULES_IN_REGISTERS[rule])
    source = Threads(gpu._cupy, record(step, state, forms(data, 1), gpu.xp), 1, exact=False).source
    done = nvidia_compiled(source, tmp_path / "own.cu", "-cubin", "-Xptxas=-v")
    assert done.returncode == 0, done.stderr
    stack = int(re.search(r"(\d+) bytes stack frame", done.stderr)[1])
    assert stack <= (160 if rule == "Adam" else 0), done.stderr  # 236 numbers of state and gradients, 255 registers


@pytest.mark.skipif(NVCC is None, reason="nvcc is not installed, which would compile the kernels")
def test_nvidias_compiler_takes_threads_for_masks_mini_batches_and_reproducible_arithmetic(gpu, tmp_path):
    before = len(fake_cupy.RawModule.sources)
    step, *given = encoder_step(gpu, lambda k: bp.SGD(0.1 + k))
    gpu.compile(step)(*given, [2])
    layers = [bp.Dense(6, 4), bp.GELU(), bp.Dropout(0.3), bp.Dense(4, 4), bp.ELU(), bp.Dense(4, 4)]
    for dtype in ("float32", "float64"):
        bp.fit_together(networks(gpu, layers, dtype=dtype), X, LABELS, optimizers=bp.Adam(), epochs=1, batch_size=5)
    made = networks(gpu, [bp.Dense(6, 3), bp.ReLU(), bp.Dense(3, 4)], arithmetic="reproducible")
    bp.fit_together(made, X, LABELS, optimizers=bp.SGD(), epochs=1, batch_size=5)
    found = [source for source in fake_cupy.RawModule.sources[before:] if NAME in source]
    assert len(found) == 7
    for number, source in enumerate(found):
        done = nvidia_compiled(source, tmp_path / f"{number}.cu", "-ptx")
        assert done.returncode == 0, done.stderr
