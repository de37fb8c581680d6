"""The network: the friendly, stateful face over the pure core."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from portable_bp import inputs
from portable_bp.architecture import Architecture
from portable_bp.arguments import require_fields, whole_number
from portable_bp.arrays import Array, HostArray, Namespace, Shape
from portable_bp.backend import Backend, Epoch, State, get_backend
from portable_bp.backpropagation import Model, training_step
from portable_bp.callbacks import Callback, ProgressBar, checked
from portable_bp.digest import digest
from portable_bp.errors import ConfigurationError, DataError
from portable_bp.fitting import Fit
from portable_bp.history import History
from portable_bp.layers.layer import Layer
from portable_bp.losses.loss import Loss
from portable_bp.optimizers import SGD, Optimizer
from portable_bp.optimizers.optimizer import Tree
from portable_bp.params import LayerParams, mapped
from portable_bp.precision import with_precision
from portable_bp.preparation import Preparation
from portable_bp.reproducible import with_arithmetic
from portable_bp.streaming import host
from portable_bp.tracing import Trace, trace
from portable_bp.training import MOST_EPOCHS, measure, parts


class Network:
    """Layers in order, the loss behind them, and the parameters, on one backend.

    ``backend`` is a name such as "numpy", "cupy", "cupy:1", "torch:cuda:0", "jax", or a Backend; ``dtype`` "float32" or
    "float64"; ``seed`` decides the initial weights, the batch orders and the dropout masks, the same on every backend.
    ``input_shape`` is one input's shape, needed only where the first layer doesn't fix it and its checks are wanted.
    ``arithmetic`` "native", the default, takes the library's own products and functions; "reproducible" gives the same
    bits on every backend and device, some times slower (docs/reproducible.md). ``precision`` "full", the default, or
    "tf32": float32 products of factors rounded to 11 bits, on GPUs that have them (docs/gpu.md).
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Loss,
        *,
        backend: str | Backend = "numpy",
        dtype: str = "float32",
        seed: int = 0,
        input_shape: Shape | None = None,
        arithmetic: str | None = None,
        precision: str | None = None,
        params: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        self.architecture = Architecture.of(layers, loss, dtype, seed, input_shape)
        self.backend = with_precision(with_arithmetic(get_backend(backend), arithmetic), precision, dtype)
        self.epoch = 0
        self._prepare()
        self.history = History()
        """What the last `fit` measured, also when it failed."""
        self.settings: dict[str, Any] = {}
        """How the last `fit` trained: optimizer, epochs, examples, batch_size, shuffle, and the history's columns."""
        self.fitting: Fit | None = None
        """The `fit` that is under way, for callbacks."""
        self._optimizer: Optimizer | None = None
        self._state: State = {}
        self.params = self.architecture.initial_params() if params is None else params

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order."""
        return self.architecture.layers

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self.architecture.loss

    @property
    def dtype(self) -> str:
        """The dtype of parameters, inputs and gradients."""
        return self.architecture.dtype

    @property
    def seed(self) -> int:
        """The seed of weights, orders and masks."""
        return self.architecture.seed

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer in use, with which the next `fit` goes on; None before the first and after `params` are set."""
        return self._optimizer

    @property
    def state(self) -> State:
        """What the next step depends on: params, step, and the optimizer's state where one is in use; to read."""
        return dict(self._state)

    def start(self, optimizer: Optimizer) -> State:
        """Give the state from which the pure step goes on: parameters, a fresh optimizer state, the step count."""
        return {**self._state, "optimizer": optimizer.init(self.backend.xp, self._state["params"])}

    def _prepare(self) -> None:
        """Make what follows from architecture and backend: the model in the backend's form, and nothing compiled."""
        lower = self.backend.lower
        self.model = Model([lower(layer) for layer in self.layers], lower(self.loss), self.seed, self.dtype)
        self.preparation = Preparation(self.backend, self.architecture, self.model)
        self._compiled: tuple[Optimizer, Epoch] | None = None

    # -- parameters -------------------------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Number of training steps taken, which decides the dropout masks."""
        return int(self._state["step"])

    @step.setter
    def step(self, taken: int) -> None:
        with self.backend.activate():
            zero = self.backend.xp.zeros((), dtype=self.backend.xp.int64)
            self._state = {**self._state, "step": zero + taken}

    @property
    def params(self) -> Tree:
        """Parameters, one dict of arrays a layer.

        Set it to a list of such dicts, of NumPy arrays or the backend's, which are copied; the optimizer then starts
        afresh, while epochs and steps go on.
        """
        shown: Tree = [LayerParams(own) for own in self._state["params"]]
        return shown

    @params.setter
    def params(self, new: Sequence[Mapping[str, Any]]) -> None:
        with self.backend.activate():
            step = self._state.get("step", self.backend.xp.zeros((), dtype=self.backend.xp.int64))
            self._state = {"params": self._moved(new), "step": step}
            self._optimizer = None

    def _moved(self, new: Sequence[Mapping[str, Any]]) -> Tree:
        self.architecture.require_params(new)
        return [
            {
                n: inputs.move(self.backend, given[n], f"params[{number}][{n!r}]", self.dtype, copy=True)
                for n in expected
            }
            for number, (expected, given) in enumerate(zip(self.architecture.param_shapes(), new, strict=True))
        ]

    # -- training ---------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        optimizer: Optimizer | None = None,
        epochs: int = 1,
        batch_size: int | Literal["auto"] | None = "auto",
        shuffle: bool = True,
        validation: tuple[Any, Any] | None = None,
        measure_training: bool = False,
        class_weight: Any = None,
        sample_weight: Any = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
        resume: bool | str | Path = False,
    ) -> History:
        """Train for ``epochs`` epochs of mini-batches and return what was measured.

        x (n, …) and y are moved to the device once; bytes (uint8) stay bytes there, a quarter of float32, and become
        numbers batch by batch. What is too large for the device stays on the host and is moved ahead of the steps, with
        the same result. ``optimizer`` defaults to SGD(0.01); a further fit with an equal
        one (or none) goes on where the last one stopped, another one starts afresh. ``batch_size`` None takes the
        whole set, "auto" 32 examples or the whole set where that is smaller. ``validation`` (x, y) is measured after
        each epoch, the training set too with ``measure_training``. ``class_weight`` is "balanced", a dict or a list by
        class number; ``sample_weight`` (n,). ``progress`` None shows a bar where stderr is a terminal. ``resume``, in
        a call that is otherwise as it was, goes on from a checkpoint: a path says from which folder or file, True from
        the folder of the `Checkpoint` among the ``callbacks``, or from the beginning where that holds none.

        Raises DataError, ShapeError or ConfigurationError before anything is trained, and NonFiniteError, with step,
        layer and array, where numbers stop being finite; the parameters are then those of the last good epoch.
        """
        epochs = whole_number("epochs", epochs, 1, MOST_EPOCHS)
        with self.backend.activate():
            weight = (sample_weight, class_weight)
            run = self.preparation.run(x, y, (batch_size, shuffle), validation, measure_training, weight)
            show = sys.stderr.isatty() if progress is None else progress
            told = [*([ProgressBar()] if show else []), *checked(callbacks, run.columns)]
            fit = Fit(self, run, epochs, told)
            if resume is not False:
                optimizer = fit.resume(resume, optimizer)
            return fit.train(self._use(optimizer))

    def optimizer_for(self, given: Optimizer | None) -> Optimizer:
        """Check what `fit` was given for an optimizer; without one it is the last one again, or SGD()."""
        wanted = given if given is not None else self._optimizer or SGD()
        _require_optimizer(wanted)
        return wanted

    def state_for(self, optimizer: Optimizer) -> State:
        """Give the state from which `fit` goes on: the optimizer's is fresh, unless it equals the one in use."""
        return self._state if optimizer == self._optimizer else self.start(optimizer)

    def arrive(self, state: State, epoch: int) -> None:
        """Be where the training of ``epoch`` has led."""
        self._state, self.epoch = state, epoch

    def go_on_with(self, optimizer: Optimizer, state: Any) -> None:
        """Take ``optimizer`` with a state of it that is on the device."""
        self._state, self._optimizer = {**self._state, "optimizer": state}, optimizer

    def take_over(self, state: State, optimizer: Optimizer, history: History) -> None:
        """Be as a `fit` would have left the network: with its state, the optimizer in use, and what was measured."""
        self._state, self._optimizer, self.history = state, optimizer, history
        self.epoch += len(history)

    def _use(self, optimizer: Optimizer | None) -> Epoch:
        """Take ``optimizer`` with a fresh state, unless it equals the one in use; give its compiled epoch."""
        wanted = self.optimizer_for(optimizer)
        self._state, self._optimizer = self.state_for(wanted), wanted
        if self._compiled is None or self._compiled[0] != wanted:
            step = training_step(self.backend.xp, self.model, self.backend.lower(wanted))
            self._compiled = (wanted, self.backend.compile(step))
        return self._compiled[1]

    # -- use --------------------------------------------------------------------------------------------------------

    def forward(self, x: Any) -> Array:
        """Outputs of the last layer for x (n, …), an array of the backend: logits, where the loss takes logits.

        On a GPU other than the first, compute with such arrays inside ``with net.backend.activate():``.
        """
        with self.backend.activate():
            return self.model.forward(self.backend.xp, self._state["params"], self.preparation.inputs(x))[0]

    def predict(self, x: Any) -> HostArray:
        """Outputs as NumPy array (n, n_out): probabilities behind a cross-entropy, the plain outputs otherwise."""
        return self._outputs(x, self.loss.output)

    def classify(self, x: Any) -> HostArray:
        """Class numbers (n,), NumPy int64: the largest output, or whether a single output is above its threshold."""
        return self._outputs(x, self.loss.classify)

    def _outputs(self, x: Any, what: Callable[[Namespace, Array], Array]) -> HostArray:
        """What the loss makes of the outputs for x, computed in parts."""
        xp, params, backend = self.backend.xp, self._state["params"], self.backend
        with backend.activate():
            data = (self.preparation.placed(x).inputs(x),)
            found = [
                backend.to_numpy(what(xp, self.model.forward(xp, params, rows)[0])) for (rows,) in parts(backend, data)
            ]
        return found[0] if len(found) == 1 else host().xp.concat(found)

    def evaluate(self, x: Any, y: Any) -> dict[str, float]:
        """Loss per example, and the accuracy where the targets are classes."""
        with self.backend.activate():
            place = self.preparation.placed(x, y)
            data = place.batch(x, y)
            accuracy = place.has_classes(data[1])
            values = measure(self.backend, self.model, self._state["params"], data, accuracy=accuracy)
            totals = self.backend.to_numpy(self.backend.xp.concat(values))
        means = [float(total) / data[0].shape[0] for total in totals]
        return dict(zip(("loss", "accuracy"), means, strict=False))

    def score(self, x: Any, y: Any) -> float:
        """Accuracy: the share of examples whose class is right, 0 to 1."""
        measured = self.evaluate(x, y)
        if "accuracy" not in measured:
            raise DataError(
                "score() needs targets that are classes (labels, or rows of 0 and 1): use evaluate(x, y)['loss']"
            )
        return measured["accuracy"]

    def gradients(self, x: Any, y: Any) -> tuple[float, Tree]:
        """Loss as the loss defines it, and its gradients by every parameter, in the form of `params`; dropout rests."""
        with self.backend.activate():
            value, grads = self.model.gradients(self.backend.xp, self._state["params"], self.preparation.batch(x, y))
            return float(value), grads

    def trace(self, x: Any, y: Any, optimizer: Optimizer | None = None) -> Trace:
        """Every layer's input, output, δ = ∂J/∂output, ∂J/∂input and gradients for x and y; dropout rests.

        With ``optimizer`` the update that it would make as well: from its state where it is the one in use (see
        `optimizer`), else from a fresh one. Nothing in the network changes. Entries are arrays of the backend;
        ``to_numpy()`` and ``to_dict()`` give NumPy's.
        """
        if optimizer is not None:
            _require_optimizer(optimizer)
        state = self._state.get("optimizer") if optimizer == self._optimizer else None
        with self.backend.activate():
            batch = self.preparation.batch(x, y)
            return trace(self.backend, self.model, self.architecture.names, self.params, batch, optimizer, state)

    def digest(self) -> str:
        """SHA-256 over the names, dtypes, shapes and bytes of the parameters: equal digests mean equal bits."""
        return digest([{n: self.backend.to_numpy(a) for n, a in layer.items()} for layer in self.params])

    def save(self, path: str | Path, *, optimizer: bool = False) -> None:
        """Write architecture and parameters, and the ``optimizer`` with its state, to one file; see `bp.load`."""
        from portable_bp.files import save

        save(self, path, optimizer=optimizer)

    # -- inside -----------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what can be made again, with the arrays as NumPy's, for copies and other processes."""
        left_out = ("model", "preparation", "_compiled")
        kept = {name: value for name, value in self.__dict__.items() if name not in left_out}
        return {**kept, "fitting": None, "_state": mapped(self.backend.to_numpy, self._state)}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        with self.backend.activate():
            self._state = mapped(self.backend.asarray, kept["_state"])
        self._prepare()

    def __repr__(self) -> str:
        own = self.backend
        said = [word for word in (own.arithmetic, own.precision) if word not in (Backend.arithmetic, Backend.precision)]
        return self.architecture.lines(", ".join([f"Network on {own.spec}", *said]))


def _require_optimizer(given: object) -> None:
    if not isinstance(given, Optimizer):
        raise ConfigurationError(f"optimizer={given!r} is no optimizer: give an instance such as Adam(1e-3)")
    require_fields(given)
