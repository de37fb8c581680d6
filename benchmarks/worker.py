"""The process of one contender: trains N epochs for a line "epochs N" on stdin, answers every line by one of JSON.

    python benchmarks/worker.py '{"work": …, "module": …, "maker": …, "device": …, "folder": …}'

Between the lines it waits for the next, without a thread at work, while other contenders are measured.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from contenders.contender import Contender
from problem import Array, Problem, read
from works import Work

STATUS = Path("/proc/self/status")
LIBRARIES = ("torch", "thinc", "sklearn", "jax", "cupy", "portable_bp")


def peak_megabytes() -> float:
    """Largest resident memory of this process so far.

    Linux hands the peak of the process that started this one on to getrusage's ru_maxrss; VmHWM starts afresh.
    """
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    found = next((line for line in lines if line.startswith("VmHWM:")), None)
    if found is not None:
        return int(found.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def environment() -> dict[str, Any]:
    """Versions of what is loaded, threads of torch, and the BLAS libraries with their kernels."""
    loaded = {name: getattr(sys.modules[name], "__version__", "") for name in LIBRARIES if name in sys.modules}
    threads = {"torch_threads": sys.modules["torch"].get_num_threads()} if "torch" in loaded else {}
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return {"versions": loaded, **threads}
    kept = ("internal_api", "version", "architecture", "num_threads")
    pools = [{name: pool.get(name) for name in kept} for pool in threadpool_info()]
    return {"versions": {**loaded, "numpy": metadata.version("numpy")}, **threads, "thread_pools": pools}


def share_right(contender: Contender, problem: Problem, folder: Path) -> float:
    """Share of right classes: of MNIST's test set, or of an encoder's own inputs."""
    if not problem.work.softmax:
        return right(contender.logits(problem.x), problem.y.argmax(axis=-1))
    return right(contender.logits(np.load(folder / "test_x.npy")), np.load(folder / "test_y.npy"))


def right(logits: Array, classes: Array) -> float:
    """Share of rows whose largest output is the class's."""
    return float(np.mean(logits.argmax(axis=-1) == classes))


def timed_epochs(contender: Contender, epochs: int) -> dict[str, float]:
    """Train; seconds an epoch, the last one's loss, and the peak of memory so far."""
    seconds, loss = contender.epochs(epochs)
    return {"seconds": seconds, "loss": loss, "peak_mb": peak_megabytes()}


def start(job: dict[str, Any]) -> tuple[Contender, Problem, Path]:
    """Read the arrays and build the contender on its device."""
    folder = Path(job["folder"])
    problem = read(Work.from_json(job["work"]), folder)
    maker = getattr(import_module(f"contenders.{job['module']}"), job["maker"])
    return maker(problem, job["device"]), problem, folder.parent


def private_stdout() -> TextIO:
    """Stdout for answers alone; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def main() -> None:
    answers = private_stdout()

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        contender, problem, folder = start(json.loads(sys.argv[1]))
        say({"loaded_mb": peak_megabytes(), **environment()})
        for line in sys.stdin:
            what, *number = line.split()
            if what == "epochs":
                say(timed_epochs(contender, int(number[0])))
            else:
                say({"accuracy": share_right(contender, problem, folder), "kinds": list(contender.kinds)})
    except Exception as error:  # whatever a library raises is the reason that the table gives
        say({"missing": f"{type(error).__name__}: " + " ".join(str(error).split())[:300]})


if __name__ == "__main__":
    main()
