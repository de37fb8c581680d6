"""Saving and loading networks: architecture and parameters, and the optimizer's state where it is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from portable_bp import archive
from portable_bp.archive import Description, Tensors
from portable_bp.arguments import whole_number
from portable_bp.arrays import HostArray
from portable_bp.backend import Backend, State
from portable_bp.description import by_name, constructed, describe
from portable_bp.errors import FileError, PortableBPError
from portable_bp.optimizers import Optimizer
from portable_bp.packing import packed, unpacked

if TYPE_CHECKING:
    from portable_bp.network import Network

BEYOND_PARAMETERS = ("optimizer", "training")
"""First words of the names of tensors that are no parameters; a parameter's is its layer's number."""
LARGEST_COUNT = 2**63 - 1
"""Of epochs and steps: what 64 bits hold."""


def save(net: Network, path: str | Path, *, optimizer: bool = False) -> None:
    """Write a network to ``path``, by way of a temporary file beside it: whole or not at all.

    Written are architecture, parameters, and the numbers of epochs and steps; with ``optimizer`` the optimizer in use
    and its state too, so that the loaded network trains on as this one would.
    """
    archive.write(Path(path), *contents(net, net.state, net.epoch, net.optimizer if optimizer else None))


def load(
    path: str | Path,
    *,
    backend: str | Backend = "numpy",
    dtype: str | None = None,
    arithmetic: str | None = None,
    precision: str | None = None,
    custom: Iterable[type] = (),
) -> Network:
    """Read a network that was saved on any backend, or is in a checkpoint; with its optimizer, where that is there.

    ``dtype`` None keeps the file's; ``arithmetic`` and ``precision``, which no file holds, are as for `Network`.
    ``custom`` names the classes of layers, losses, initializers, optimizers or schedules of your own that the network
    is made of; only these and portable_bp's are ever constructed.

    Raises FileError for a file that is missing, truncated, changed since it was saved, or no network of portable_bp.
    """
    known = by_name(custom)
    description, tensors = archive.read(Path(path))
    try:
        changed = {} if dtype is None else {"dtype": dtype}
        place = {"backend": backend, "arithmetic": arithmetic, "precision": precision}
        return _network({**description, **changed}, tensors, known, place)
    except PortableBPError as error:
        raise type(error)(f"{str(path)!r}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise FileError(
            f"{str(path)!r} describes no network ({error!r}): it is damaged; save the network again"
        ) from error


def contents(net: Network, state: State, epoch: int, optimizer: Optimizer | None) -> tuple[Description, Tensors]:
    """Description and tensors of a network in ``state`` after ``epoch`` epochs; ``optimizer`` None leaves its out."""
    to_numpy = net.backend.to_numpy
    tensors = {
        f"{number}.{name}": to_numpy(array) for number, own in enumerate(state["params"]) for name, array in own.items()
    }
    description = {**architecture(net), "epoch": epoch, "step": int(state["step"])}
    if optimizer is not None:
        packed_state = packed(state["optimizer"], "optimizer", to_numpy, tensors)
        description["optimizer"] = {"rule": describe(optimizer), "state": packed_state}
    return description, tensors


def architecture(net: Network) -> Description:
    """What the network is made of, as JSON."""
    return {
        "layers": [describe(layer) for layer in net.layers],
        "loss": describe(net.loss),
        "dtype": net.dtype,
        "seed": net.seed,
        "input_shape": net.architecture.input_shape,
    }


def restore(net: Network, description: Description, tensors: Tensors, optimizer: Optimizer | None) -> None:
    """Give a network the epochs, steps and, with ``optimizer``, its state that a file holds, behind its parameters."""
    counts = (whole_number(f"its {name}", description[name], 0, LARGEST_COUNT) for name in ("epoch", "step"))
    net.epoch, net.step = counts
    if optimizer is not None:
        saved = unpacked(description["optimizer"]["state"], tensors)
        with net.backend.activate():
            net.go_on_with(optimizer, _like(net.start(optimizer)["optimizer"], saved, net.backend))


def _network(
    description: Description,
    tensors: Tensors,
    custom: Mapping[str, type],
    place: Mapping[str, Any],
) -> Network:
    from portable_bp.network import Network

    net = Network(
        [constructed(layer, custom) for layer in description["layers"]],
        constructed(description["loss"], custom),
        **place,
        dtype=description["dtype"],
        seed=description["seed"],
        input_shape=description["input_shape"],
        params=params(description, tensors),
    )
    rule = constructed(description["optimizer"]["rule"], custom) if "optimizer" in description else None
    restore(net, description, tensors, rule if rule is None else net.optimizer_for(rule))
    return net


def params(description: Description, tensors: Tensors) -> list[dict[str, HostArray]]:
    """The parameters among a file's tensors, one dict a layer."""
    found: dict[str, dict[str, HostArray]] = {str(number): {} for number in range(len(description["layers"]))}
    for name, tensor in tensors.items():
        number, _, parameter = name.partition(".")
        if number in BEYOND_PARAMETERS:
            continue
        if not np.issubdtype(tensor.dtype, np.floating):
            raise FileError("its parameters are no real numbers; save the network again")
        found[number][parameter] = tensor
    return list(found.values())


def _like(fresh: Any, saved: Any, backend: Backend) -> Any:
    """The saved optimizer state on the device, in the form and the dtypes of a fresh one; else FileError."""
    if isinstance(fresh, dict) and isinstance(saved, dict) and fresh.keys() == saved.keys():
        return {name: _like(branch, saved[name], backend) for name, branch in fresh.items()}
    if isinstance(fresh, list) and isinstance(saved, list) and len(fresh) == len(saved):
        return [_like(*branches, backend) for branches in zip(fresh, saved, strict=True)]
    if isinstance(saved, np.ndarray) and not isinstance(fresh, (dict, list)):
        like = backend.to_numpy(fresh)
        if like.shape == saved.shape:
            return backend.asarray(saved.astype(like.dtype, copy=False))
    raise FileError("its optimizer's state doesn't fit its parameters: it is damaged; save the network again")
