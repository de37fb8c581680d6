"""One side of a comparison: a network as it is trained, one step after the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from portable_bp.architecture import DTYPES
from portable_bp.arrays import HostArray
from portable_bp.backend import Backend, Order, get_backend
from portable_bp.backpropagation import training_step
from portable_bp.batches import one_by_one
from portable_bp.errors import ConfigurationError
from portable_bp.network import Network
from portable_bp.optimizers.optimizer import Optimizer
from portable_bp.params import mapped
from portable_bp.step_arrays import Place, pass_arrays, state_arrays

ARITHMETICS = ("native", "reproducible")
HostArrays = dict[Place, HostArray]


def network_on(net: Network, spec: str | Backend) -> Network:
    """The same network, with the same parameters, as ``spec`` says: ``BACKEND[:DEVICE][@DTYPE][@ARITHMETIC]``."""
    backend, dtype, arithmetic = _read(spec)
    made = Network(
        net.layers,
        net.loss,
        backend=backend,
        dtype=dtype or net.dtype,
        seed=net.seed,
        input_shape=net.architecture.input_shape,
        arithmetic=arithmetic or net.backend.arithmetic,
        params=[{name: net.backend.to_numpy(array) for name, array in own.items()} for own in net.params],
    )
    made.epoch, made.step = net.epoch, net.step
    return made


def _read(spec: str | Backend) -> tuple[Backend, str | None, str | None]:
    """Backend, dtype and arithmetic that a spec such as "torch:cuda:0@float64@reproducible" names."""
    if isinstance(spec, Backend):
        return spec, None, spec.arithmetic if spec.arithmetic != "native" else None
    place, *words = str(spec).split("@")
    known = (DTYPES, ARITHMETICS)
    if any(word not in (*DTYPES, *ARITHMETICS) for word in words) or any(sum(w in k for w in words) > 1 for k in known):
        raise ConfigurationError(
            f"{spec!r}: write BACKEND[:DEVICE][@DTYPE][@ARITHMETIC], with one of {', '.join(DTYPES)} and one of "
            f"{', '.join(ARITHMETICS)}, such as torch:cuda:0@float64 or numpy@reproducible"
        )
    dtype, arithmetic = (next((word for word in words if word in k), None) for k in known)
    return get_backend(place), dtype, arithmetic


class Side:
    """A network's training, without a change to the network itself."""

    def __init__(self, net: Network, x: Any, y: Any, optimizer: Optimizer | None, batches: tuple[Any, bool]) -> None:
        self.net, backend = net, net.backend
        with backend.activate():
            self._run = net.preparation.run(x, y, batches, None, False, (None, None))
            rule = net.optimizer_for(optimizer)
            self._state = net.state_for(rule)
            self._epoch = self._run.reaching(backend.compile(training_step(backend.xp, net.model, backend.lower(rule))))
        self._orders = self._all_orders()

    def _all_orders(self) -> Iterator[Order]:
        """Orders of one step each, from epoch to epoch without an end."""
        for epoch in count(self.net.epoch + 1):
            yield from one_by_one(self._run.orders(self.net.seed, epoch))

    def step(self) -> HostArrays:
        """Take the next step, compiled as `fit` takes it, and give the arrays that are computed in it as NumPy's."""
        backend, run, before = self.net.backend, self._run, self._state
        with backend.activate():
            order = next(self._orders)
            self._state, _ = self._epoch(before, run.data, [order])
            batch = run.gathered(run.data, order)
            arrays = {**pass_arrays(backend.xp, run.model, before, batch), **state_arrays(self._state)}
            found: HostArrays = mapped(backend.to_numpy, arrays)
        return found
