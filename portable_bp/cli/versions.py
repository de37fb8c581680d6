"""Versions of everything that decides a result."""

import platform

PACKAGES = {
    "portable_bp": ("portable-bp",),
    "numpy": ("numpy",),
    "array-api-compat": ("array-api-compat",),
    "cupy": ("cupy", "cupy-cuda12x", "cupy-cuda13x"),
    "torch": ("torch",),
    "jax": ("jax",),
    "numba": ("numba",),
}


def versions() -> dict[str, str]:
    """Versions by name, of what is installed; nothing is imported."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"Python": platform.python_version()}
    for name, distributions in PACKAGES.items():
        for distribution in distributions:
            try:
                found[name] = version(distribution)
            except PackageNotFoundError:
                continue
    return found
