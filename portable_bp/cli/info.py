"""``portable-bp info``: what is installed here, which devices answer, and how fast NumPy's products can be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from portable_bp.backend import backend_class, get_backend, installed_backends
from portable_bp.cli.printing import as_json, print_table
from portable_bp.cli.versions import versions

CPUINFO = Path("/proc/cpuinfo")
KERNELS = (
    ({"avx512f", "avx512dq", "avx512bw", "avx512vl"}, "SKYLAKEX", {"skylakex", "cooperlake", "sapphirerapids"}),
    ({"avx2", "fma"}, "HASWELL", {"haswell", "zen", "skylakex", "cooperlake", "sapphirerapids"}),
)
"""For processor flags, best first: the value of OPENBLAS_CORETYPE, and the kernels that use what they stand for."""

VECTOR_FLAGS = ("sse4", "avx", "fma", "asimd", "sve")


def info(json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False) -> None:
    """Say what is installed here, and what answers."""
    blas, flags = numpy_blas(), processor_flags()
    backends = {name: devices(name) for name in sorted(installed_backends())}
    report = {
        "versions": versions(),
        "backends": backends,
        "precisions": precisions([f"{n}:{d}" for n, found in backends.items() for d in found if found[d] == "ok"]),
        "blas": blas,
        "processor_flags": flags,
        "advice": advice(blas, flags),
    }
    if json:
        print(as_json(report))
    else:
        _show(report)


def devices(name: str) -> dict[str, str]:
    """Say "ok" or what is wrong, by device; under "" where the library itself doesn't answer."""
    try:
        return {device: _answer(f"{name}:{device}") for device in backend_class(name).devices()}
    except Exception as error:  # a diagnosis says what is wrong, whatever a broken installation raises
        return {"": _line(error)}


def _answer(spec: str) -> str:
    try:
        get_backend(spec)
    except Exception as error:
        return _line(error)
    return "ok"


def precisions(specs: list[str]) -> dict[str, list[str]]:
    """What --precision can name, for those backends that leave a choice."""
    known = {spec: sorted(get_backend(spec).precisions) for spec in specs}
    return {spec: found for spec, found in known.items() if len(found) > 1}


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def numpy_blas() -> list[dict[str, Any]]:
    """Name, version, kernels and threads of the BLAS that NumPy has loaded."""
    import numpy  # noqa: F401 (loads its BLAS, which threadpoolctl then finds in the process)
    from threadpoolctl import threadpool_info

    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    own = [library for library in found if "numpy" in library["filepath"]] or found
    return [
        {
            "library": library["internal_api"],
            "version": library["version"],
            "kernels": library.get("architecture"),
            "threads": library["num_threads"],
        }
        for library in own
    ]


def processor_flags() -> list[str] | None:
    """Flags of the processor, on Linux; None where they can't be read."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return None
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), None)
    return None if flags is None else flags.partition(":")[2].split()


def advice(blas: list[dict[str, Any]], flags: list[str] | None) -> str | None:
    """What to do where OpenBLAS runs slower kernels than the processor has."""
    for library in blas:
        running = library["kernels"] or ""
        for needed, core, fast in KERNELS if library["library"] == "openblas" else ():
            if running and needed <= set(flags or ()):
                if running.lower() in fast:
                    break
                return (
                    f"OpenBLAS runs its {running} kernels on a processor that has {min(needed, key=len)}: "
                    f"set OPENBLAS_CORETYPE={core} before starting Python; typically 1.3 to 1.8 times faster products"
                )
    return None


def _show(report: dict[str, Any]) -> None:
    print_table(["package", "version"], report["versions"].items())
    rows = [(name, device, answer) for name, found in report["backends"].items() for device, answer in found.items()]
    print_table(["backend", "device", "answer"], rows)
    for spec, found in report["precisions"].items():
        print(f"--precision on {spec}: {' or '.join(found)}")
    for library in report["blas"]:
        words = f"{library['library']} {library['version']}, kernels {library['kernels'] or 'unknown'}"
        print(f"NumPy's BLAS: {words}, {library['threads']} threads")
    flags = report["processor_flags"]
    wide = [flag for flag in flags or () if flag.startswith(VECTOR_FLAGS)]
    print(f"processor's vector flags: {' '.join(wide) if wide else 'unknown'}")
    if report["advice"]:
        print(f"advice: {report['advice']}")
