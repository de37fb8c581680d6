"""The source of the threads' kernel: its mutants are found, its logarithm is right, NVIDIA's compiler takes it."""

import re
import shutil
import subprocess

import fake_cupy
import numpy as np
import pytest
from fake_cupy import bare

import portable_bp as bp
from portable_bp.backend import Backend
from portable_bp_cupy import CupyBackend, guard
from portable_bp_cupy.captured import forms
from portable_bp_cupy.recorded import record
from portable_bp_cupy.threads.launching import Threads, options
from portable_bp_cupy.threads.registers import NAME, functions

NVCC = shutil.which("nvcc")
RNG = np.random.default_rng(5)
X, LABELS = RNG.normal(size=(12, 6)), RNG.integers(0, 4, 12)


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


def three(place, layers, loss=None, **options):
    loss = loss or bp.SoftmaxCrossEntropy()
    return [bp.Network(layers, loss, backend=place, seed=seed, **options) for seed in range(3)]


def encoder_step(gpu, rule, dtype="float32"):
    """Step, state and data of three encoders 8-3-8, in which the mutants live."""
    made = three(gpu, [bp.Dense(8, 3), bp.Sigmoid(), bp.Dense(3, 8)], bp.BinaryCrossEntropy(), dtype=dtype)
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
        bp.fit_together(three(gpu, layers, dtype=dtype), X, LABELS, optimizers=bp.Adam(), epochs=1, batch_size=5)
    made = three(gpu, [bp.Dense(6, 3), bp.ReLU(), bp.Dense(3, 4)], arithmetic="reproducible")
    bp.fit_together(made, X, LABELS, optimizers=bp.SGD(), epochs=1, batch_size=5)
    found = [source for source in fake_cupy.RawModule.sources[before:] if NAME in source]
    assert len(found) == 7
    for number, source in enumerate(found):
        done = nvidia_compiled(source, tmp_path / f"{number}.cu", "-ptx")
        assert done.returncode == 0, done.stderr
