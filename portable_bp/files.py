"""Saving and loading networks: one safetensors file, the architecture as JSON in its header; nothing executable."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from portable_bp import initializers, layers, losses
from portable_bp.arguments import whole_number
from portable_bp.arrays import HostArray
from portable_bp.backend import Backend
from portable_bp.checksum import sealed, unsealed
from portable_bp.description import describe
from portable_bp.errors import ConfigurationError, FileError, PortableBPError
from portable_bp.headers import require_short_header
from portable_bp.reading import read_json, require_regular
from portable_bp.writing import write_whole

if TYPE_CHECKING:
    from portable_bp.network import Network

FORMAT = "portable_bp network 1"
"""Key of the description in the file's header; one key, since safetensors writes several in random order."""
Description = dict[str, Any]
LARGEST_COUNT = 2**63 - 1
"""Of epochs and steps: what 64 bits hold."""


def save(net: Network, path: str | Path) -> None:
    """Write a network to ``path``, by way of a temporary file beside it: whole or not at all.

    Written are architecture, parameters, and the numbers of epochs and steps; not the optimizer, which starts afresh.
    """
    tensors = {
        f"{number}.{name}": net.backend.to_numpy(array)
        for number, layer in enumerate(net.params)
        for name, array in layer.items()
    }
    try:
        architecture = json.dumps(sealed(tensors, _architecture(net)))
    except TypeError as error:
        raise ConfigurationError(
            f"can't save the network ({error}): its layers' fields must be numbers, strings, tuples or dataclasses"
        ) from error
    content = to_bytes(tensors, {FORMAT: architecture})
    require_short_header(content)
    write_whole(Path(path), content)


def load(
    path: str | Path,
    *,
    backend: str | Backend = "numpy",
    dtype: str | None = None,
    arithmetic: str | None = None,
    precision: str | None = None,
    custom: Iterable[type] = (),
) -> Network:
    """Read a network that was saved on any backend.

    ``dtype`` None keeps the file's; ``arithmetic`` and ``precision``, which no file holds, are as for `Network`.
    ``custom`` names the classes of layers, losses or initializers of your own that the network is made of; only these
    and portable_bp's are ever constructed.

    Raises FileError for a file that is missing, truncated, changed since it was saved, or no network of portable_bp.
    """
    known = _by_name(custom)
    found, tensors = _read(Path(path))
    try:
        architecture = {**unsealed(tensors, found), **({} if dtype is None else {"dtype": dtype})}
        place = {"backend": backend, "arithmetic": arithmetic, "precision": precision}
        return _network(architecture, tensors, known, place)
    except PortableBPError as error:
        raise type(error)(f"{str(path)!r}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise FileError(
            f"{str(path)!r} describes no network ({error!r}): it is damaged; save the network again"
        ) from error


def _architecture(net: Network) -> Description:
    return {
        "layers": [describe(layer) for layer in net.layers],
        "loss": describe(net.loss),
        "dtype": net.dtype,
        "seed": net.seed,
        "input_shape": net.architecture.input_shape,
        "epoch": net.epoch,
        "step": net.step,
    }


def _construct(description: Any, custom: dict[str, type]) -> Any:
    """Turn JSON back into the configuration object; only known classes are constructed."""
    if isinstance(description, list):
        return tuple(_construct(entry, custom) for entry in description)
    if not isinstance(description, dict):
        return description
    arguments = {name: _construct(value, custom) for name, value in description.items() if name != "class"}
    return _class(str(description["class"]), custom)(**arguments)


def _by_name(custom: Iterable[type]) -> dict[str, type]:
    listed = list(custom) if isinstance(custom, Iterable) else custom
    if not isinstance(listed, list) or not all(isinstance(cls, type) for cls in listed):
        raise ConfigurationError(f"custom={listed!r}: give a list of classes, custom=[MyLayer]")
    return {cls.__name__: cls for cls in listed}


def _class(name: str, custom: dict[str, type]) -> Any:
    if name in custom:
        return custom[name]
    for module in (layers, losses, initializers):
        if is_dataclass(found := getattr(module, name, None)):
            return found
    raise FileError(f"it is made of {name!r}, which portable_bp doesn't know: name the class in load(…, custom=[…])")


def _read(path: Path) -> tuple[Any, dict[str, HostArray]]:
    try:
        require_regular(path)
        require_short_header(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator over the file)
        if FORMAT not in metadata:
            raise FileError(
                f"{str(path)!r} is a safetensors file but no network of portable_bp: give one that save() wrote"
            )
        return read_json(metadata[FORMAT]), tensors
    except FileNotFoundError:
        raise FileError(f"there is no file {str(path)!r}: give the path that save() wrote") from None
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FileError(
            f"{str(path)!r} can't be read as a safetensors file ({error}): it is truncated, damaged or foreign; "
            "give a file that save() wrote"
        ) from error
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"can't read {str(path)!r} ({error}): give the path of a file that save() wrote") from error


def _network(
    architecture: Description,
    tensors: dict[str, HostArray],
    custom: dict[str, type],
    place: dict[str, Any],
) -> Network:
    from portable_bp.network import Network

    for count in ("epoch", "step"):
        whole_number(f"its {count}", architecture[count], 0, LARGEST_COUNT)
    params: dict[str, dict[str, HostArray]] = {str(number): {} for number in range(len(architecture["layers"]))}
    for name, tensor in tensors.items():
        number, _, parameter = name.partition(".")
        params[number][parameter] = tensor
    if not all(np.issubdtype(tensor.dtype, np.floating) for tensor in tensors.values()):
        raise FileError("its parameters are no real numbers; save the network again")
    net = Network(
        [_construct(layer, custom) for layer in architecture["layers"]],
        _construct(architecture["loss"], custom),
        dtype=architecture["dtype"],
        seed=architecture["seed"],
        input_shape=architecture["input_shape"],
        params=list(params.values()),
        **place,
    )
    net.epoch, net.step = architecture["epoch"], architecture["step"]
    return net
