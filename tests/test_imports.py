"""What is imported when: a cold start pays for what it uses."""

import subprocess
import sys

import pytest

TRAINING = """
import portable_bp as bp
net = bp.Network([bp.Dense(2, 3), bp.ReLU(), bp.Dense(3, 2)], bp.SoftmaxCrossEntropy())
net.fit([[0, 1], [1, 0], [1, 1]], [0, 1, 1], optimizer=bp.Adam(), epochs=3, batch_size=2, validation=([[0, 1]], [1]))
"""
CLI = "import portable_bp.cli"
HEAVY = {"numpy", "rich", "pooch", "safetensors", "matplotlib", "pandas", "threadpoolctl", "yaml", "joblib"}
CASES = {
    "the core": ("import portable_bp", HEAVY | {"typer", "importlib.metadata", "portable_bp.network", "asyncio"}),
    "the command line": (CLI, HEAVY | {"importlib.metadata", "portable_bp.network", "portable_bp.datasets"}),
    "a training": (
        TRAINING,
        (HEAVY | {"typer", "array_api_compat.numpy", "numpy.f2py", "numpy.testing", "numba", "torch", "jax"})
        - {"numpy"},
    ),
}


@pytest.mark.parametrize(("program", "unwanted"), CASES.values(), ids=CASES)
def test_nothing_is_imported_before_it_is_needed(program, unwanted):
    asked = f"{program}\nimport sys; print(sorted(set({sorted(unwanted)!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
