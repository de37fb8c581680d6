"""The portable core is free of array libraries, and reaches arithmetic through xp alone."""

import ast
import subprocess
import sys
from pathlib import Path

import portable_bp as bp

ROOT = Path(bp.__file__).parent
LIBRARIES = ("numpy", "cupy", "torch", "jax", "array_api_strict")
HOST_SIDE = {
    *("digest", "inputs", "weights", "files", "network", "preparation", "testing", "cli", "checking", "datasets"),
    *("tracing", "recording", "explanation", "plots", "sweeping", "lockstep", "archive", "packing", "checkpoints"),
}
"""Modules for the host's side, where users' arrays, files and data are NumPy's business."""
ARITHMETIC = [
    path for path in sorted(ROOT.rglob("*.py")) if path.relative_to(ROOT).parts[0].removesuffix(".py") not in HOST_SIDE
]


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_core_imports_no_array_library():
    names = [module_name(path) for path in ARITHMETIC]
    assert {"portable_bp.layers.dense", "portable_bp.backpropagation", "portable_bp.training"} <= set(names)
    program = (
        f"import sys, importlib\nsys.modules.update({{name: None for name in {LIBRARIES!r}}})\n"
        f"[importlib.import_module(name) for name in {names!r}]\n"
        "import portable_bp as bp\nprint(bp.Dense(3, 2), bp.Adam())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Dense(n_in=3, n_out=2)" in done.stdout


def nodes():
    return [(path, node) for path in ARITHMETIC for node in ast.walk(ast.parse(path.read_text()))]


def test_products_go_through_xp_matmul():
    assert [path for path, node in nodes() if isinstance(node, ast.MatMult)] == []


def test_reductions_and_functions_go_through_xp():
    methods = {"sum", "mean", "max", "min", "dot", "exp", "argmax", "T", "mT", "astype", "reshape"}
    receivers = ("xp", "self", "backend", "functions")
    found = [
        f"{path.name}: {ast.unparse(node)}"
        for path, node in nodes()
        if isinstance(node, ast.Attribute)
        and node.attr in methods
        and ast.unparse(node.value).split(".")[-1] not in receivers
    ]
    assert found == []


def test_no_argument_of_a_layer_loss_or_optimizer_is_written_in_place():
    pure = [path for path in ARITHMETIC if path.parent.name in ("layers", "losses", "optimizers")]
    for path in pure:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.AugAssign), f"{path.name}: {ast.unparse(node)}"
            assert not (isinstance(node, ast.keyword) and node.arg == "out"), path.name


def test_the_core_never_asks_which_backend_it_is_on():
    names = {"numpy", "cupy", "torch", "jax"}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                asks = "backend" in ast.unparse(node.left) and any(
                    isinstance(c, ast.Constant) and c.value in names for c in node.comparators
                )
                assert not asks, f"{path}: {ast.unparse(node)}"


def test_the_public_names_are_these():
    assert sorted(bp.__all__) == PUBLIC
    assert all(hasattr(bp, name) for name in bp.__all__)


PUBLIC = sorted(  # as text, since a list of 60 strings a line each would hide what is new
    """
    AdaGrad Adam AdamW Backend BackendError BinaryCrossEntropy CSVLog Callback Checkpoint ClipByGlobalNorm
    ConfigurationError Constant CosineDecay DataError DecoupledWeightDecay Dense Dropout ELU EarlyStopping
    ExponentialDecay FileError Flatten GELU GradientError HalfMeanSquaredError HalfSquaredError He History Identity
    Initializer
    InverseTimeDecay JSONLines L2 Layer LeCun LeakyReLU Loss MeanSquaredError Momentum Nesterov Network
    NonFiniteError Normal Optimizer PortableBPError PrintRows ProgressBar RMSProp ReLU RecordGradients Rescale SGD
    Schedule ShapeError Sigmoid Softmax SoftmaxCrossEntropy Softplus StepDecay StochasticLayer Tanh TensorBoard Uniform
    WandB WarmUp Xavier Zeros check_gradients compare_backends datasets diff explain fit_together get_backend
    installed_backends load plots sweep testing
    """.split()  # noqa: SIM905
)
