"""Who is measured: portable_bp on each of its backends, and its peers, each by the name that the tables show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

GPU = " (GPU)"
BEST = " (best BLAS kernels)"
MNIST = frozenset({"seed", "small", "mid", "wide"})
NETWORKS = MNIST | {"tiny"}
POPULATIONS = frozenset({"population", "thousands"})

SHARED_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""All contenders hold the GPU at once: JAX must not take three quarters of its memory beforehand."""


@dataclass(frozen=True)
class Entry:
    """One contender: ``maker`` of ``contenders.<module>`` is called with a Problem and ``device``."""

    name: str
    module: str
    maker: str
    works: frozenset[str]
    device: str = "cpu"
    numpy_products: bool = False
    """Whether its products are NumPy's, so that OpenBLAS' choice of kernels counts."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def on_gpu(self) -> bool:
        return self.name.endswith(GPU)


ON_CPU = {"JAX_PLATFORMS": "cpu"}
NO_NUMBA = {"NUMBA_DISABLE_JIT": "1"}
CPU_ENTRIES = (
    Entry("portable_bp numpy", "portable_bp_fit", "Fit", NETWORKS, "numpy", True, NO_NUMBA),
    Entry("portable_bp numpy, Numba", "portable_bp_fit", "FitWithNumba", MNIST, "numpy", True),
    Entry("portable_bp numpy", "portable_bp_population", "Population", POPULATIONS, "numpy"),
    Entry("portable_bp torch", "portable_bp_fit", "Fit", NETWORKS, "torch"),
    Entry("portable_bp torch", "portable_bp_population", "Population", POPULATIONS, "torch"),
    Entry("portable_bp jax", "portable_bp_fit", "Fit", NETWORKS, "jax", environment=ON_CPU),
    Entry("portable_bp jax", "portable_bp_population", "Population", POPULATIONS, "jax", environment=ON_CPU),
    Entry("Thinc", "thinc_mlp", "ThincMLP", NETWORKS),
    Entry("scikit-learn", "sklearn_mlp", "Sklearn", NETWORKS, numpy_products=True),
    Entry("torch eager", "torch_eager", "Eager", NETWORKS),
    Entry("torch.compile", "torch_compiled", "Compiled", NETWORKS),
    Entry("JAX step", "jax_mlp", "Steps", NETWORKS, environment=ON_CPU),
    Entry("JAX scan", "jax_mlp", "Scan", NETWORKS, environment=ON_CPU),
    Entry("JAX vmap in a scan", "jax_population", "Population", POPULATIONS, environment=ON_CPU),
    Entry("numpy hand", "numpy_hand", "Hand", NETWORKS, numpy_products=True),
    Entry("numpy hand in place", "numpy_in_place", "InPlace", NETWORKS, numpy_products=True),
    Entry("numpy hand batched", "numpy_population", "Population", POPULATIONS),
)
GPU_ENTRIES = (
    Entry("portable_bp cupy", "portable_bp_fit", "Fit", NETWORKS, "cupy"),
    Entry("portable_bp cupy", "portable_bp_population", "Population", POPULATIONS, "cupy"),
    Entry("portable_bp torch", "portable_bp_fit", "Fit", NETWORKS, "torch:cuda:0"),
    Entry("portable_bp torch", "portable_bp_population", "Population", POPULATIONS, "torch:cuda:0"),
    Entry("portable_bp jax", "portable_bp_fit", "Fit", NETWORKS, "jax:gpu:0"),
    Entry("portable_bp jax", "portable_bp_population", "Population", POPULATIONS, "jax:gpu:0"),
    Entry("Thinc", "thinc_mlp", "ThincMLP", NETWORKS, "gpu"),
    Entry("torch eager", "torch_eager", "Eager", NETWORKS, "cuda"),
    Entry("torch.compile", "torch_compiled", "Compiled", NETWORKS, "cuda"),
    Entry("torch CUDA graph", "torch_graph", "Graph", NETWORKS, "cuda"),
    Entry("JAX step", "jax_mlp", "Steps", NETWORKS, "gpu"),
    Entry("JAX scan", "jax_mlp", "Scan", NETWORKS, "gpu"),
    Entry("JAX vmap in a scan", "jax_population", "Population", POPULATIONS, "gpu"),
)


def with_best_kernels(entry: Entry, core: str) -> Entry:
    """The same contender in a process whose OpenBLAS takes the kernels of ``core``; it matters for MNIST's products."""
    environment = {**entry.environment, "OPENBLAS_CORETYPE": core}
    return replace(entry, name=entry.name + BEST, works=entry.works & MNIST, environment=environment)


def entries(gpu: bool, best_core: str | None) -> list[Entry]:
    """All contenders; ``best_core`` is a value of OPENBLAS_CORETYPE that is better than what runs, if there is one."""
    found = list(CPU_ENTRIES)
    if best_core is not None:
        found += [with_best_kernels(entry, best_core) for entry in CPU_ENTRIES if entry.numpy_products]
    if gpu:
        found += [replace(e, name=e.name + GPU, environment={**e.environment, **SHARED_GPU}) for e in GPU_ENTRIES]
    return found
