"""CUDA sources compiled by the host's C++ compiler, so that their numbers can be looked at without a GPU."""

import ctypes
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

SHIM, WARP, GRID = (Path(__file__).with_name(name) for name in ("shim.h", "warp.h", "grid.h"))
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
COOPERATIVE = re.compile(r'extern "C" __global__ __launch_bounds__\(\d+, 1\) void (\w+)\(([^)]*)\)')
SHARED = re.compile(r"extern __shared__ (\S+) (\w+)\[\];")
FOLDER = tempfile.TemporaryDirectory(prefix="portable_bp_kernels")
GPP = shutil.which("g++")


def runners(source):
    """For each kernel a C function run_<name>(blocks, block, arguments…) that calls it for every thread."""
    made = []
    for name, parameters in COOPERATIVE.findall(source):
        made.append(
            f'extern "C" int run_{name}(int blocks, int block, size_t shared, unsigned long long seed, {parameters}) {{'
            f"auto call = [&] {{ {name}({names_of(parameters)}); }};"
            "return grid::run(blocks, block, shared, seed, [](void* own) { (*(decltype(call)*)own)(); }, &call); }"
        )
    for name, parameters in KERNEL.findall(source):
        names = names_of(parameters)
        if "__shfl" in source:
            made.append(
                f'extern "C" void run_{name}(int blocks, int block, {parameters}) {{ blockDim.x = block;'
                f"auto call = [&] {{ {name}({names}); }};"
                "for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)"
                "warp::run(block, [](void* own) { (*(decltype(call)*)own)(); }, &call); }"
            )
            continue
        made.append(
            f'extern "C" void run_{name}(int blocks, int block, {parameters}) {{ blockDim.x = block;'
            "for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)"
            f"for (threadIdx.x = 0; threadIdx.x < block; ++threadIdx.x) {name}({names}); }}"
        )
    return "\n".join(made)


def names_of(parameters):
    return ", ".join(parameter.split()[-1].lstrip("*") for parameter in parameters.split(","))


def built(source):
    """The library of a CUDA source."""
    preprocessed = subprocess.run(
        [GPP, "-E", "-P", "-x", "c++", "-"], input=source, text=True, capture_output=True, check=True
    ).stdout
    preprocessed = SHARED.sub(r"\1* const \2 = (\1*)grid::shared();", preprocessed)
    shims = "".join(f'#include "{path}"\n' for path in (SHIM, WARP, GRID))
    whole = f"{shims}{preprocessed}\n{runners(preprocessed)}\n"
    seen = whole + "".join(path.read_text() for path in (SHIM, WARP, GRID))
    path = Path(FOLDER.name) / f"{hashlib.sha256(seen.encode()).hexdigest()[:24]}.so"
    if not path.exists():
        slow = "-O0" if COOPERATIVE.search(whole) else "-O1"  # to compile takes longer than to run
        options = ["-std=c++17", slow, "-ffp-contract=off", "-w", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-x", "c++"]
        done = subprocess.run([GPP, *options, "-", "-o", path], input=whole, text=True, capture_output=True)
        assert done.returncode == 0, f"{done.stderr}\n{whole}"
    return ctypes.CDLL(str(path))


def argument(x):
    """An argument as ctypes: arrays by their address."""
    if isinstance(x, np.ndarray):
        return ctypes.c_void_p(x.__array_interface__["data"][0])
    return ctypes.c_longlong(int(x))


def run(library, name, blocks, block, arguments):
    getattr(library, f"run_{name}")(ctypes.c_int(blocks), ctypes.c_int(block), *map(argument, arguments))


def run_together(library, name, blocks, block, shared, seed, arguments):
    """A cooperative launch; fails where its blocks wait for ever."""
    function = getattr(library, f"run_{name}")
    sizes = ctypes.c_int(blocks), ctypes.c_int(block), ctypes.c_size_t(shared), ctypes.c_ulonglong(seed)
    stuck = function(*sizes, *map(argument, arguments))
    assert not stuck, "the threads wait for each other"
