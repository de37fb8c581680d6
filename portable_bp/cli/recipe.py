"""The options of a training run, resolved, and the network's parts that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import portable_bp as bp
from portable_bp.cli.choices import ARITHMETICS, choose
from portable_bp.cli.tasks import TASKS, Task
from portable_bp.errors import ConfigurationError
from portable_bp.precision import PRECISIONS

ACTIVATIONS: dict[str, Callable[[], bp.Layer]] = {
    "relu": bp.ReLU,
    "sigmoid": bp.Sigmoid,
    "tanh": bp.Tanh,
    "leaky-relu": bp.LeakyReLU,
    "elu": bp.ELU,
    "gelu": bp.GELU,
    "softplus": bp.Softplus,
    "identity": bp.Identity,
}
CROSS_ENTROPIES: dict[str, Callable[[Any], bp.Loss]] = {
    "softmax-cross-entropy": bp.SoftmaxCrossEntropy,
    "binary-cross-entropy": bp.BinaryCrossEntropy,
}
SQUARED_ERRORS: dict[str, Callable[[], bp.Loss]] = {
    "half-squared-error": bp.HalfSquaredError,
    "half-mean-squared-error": bp.HalfMeanSquaredError,
    "mean-squared-error": bp.MeanSquaredError,
}
LOSSES = (*CROSS_ENTROPIES, *SQUARED_ERRORS)
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": bp.SGD,
    "momentum": bp.Momentum,
    "nesterov": bp.Nesterov,
    "adagrad": bp.AdaGrad,
    "rmsprop": bp.RMSProp,
    "adam": bp.Adam,
    "adamw": bp.AdamW,
}
INITIALIZERS: dict[str, Callable[[], bp.Initializer]] = {"xavier": bp.Xavier, "he": bp.He, "lecun": bp.LeCun}
OWN_NUMBERS = {"momentum": ("momentum", "nesterov"), "weight_decay": ("adamw",)}
"""Options for some of the optimizers only."""
MONITORED = ("validation_loss", "validation_accuracy", "training_loss", "training_accuracy", "loss")
RECTIFIERS = ("relu", "leaky-relu", "elu", "gelu", "softplus")
"""Activations that pass about half of their inputs, for which He's variance is made."""

WIDEST = 1_000_000
"""Largest hidden layer: two of them make a matrix of 8 TB, more than memory but less than NumPy's largest array."""


@dataclass(frozen=True)
class Recipe:
    """Every option of a run: the part of a configuration that decides its result."""

    dataset: str
    hidden: tuple[int, ...]
    activation: str
    output_activation: str | None
    dropout: float
    loss: str
    reduction: str | None
    optimizer: str
    rate: float
    momentum: float | None
    weight_decay: float | None
    l2: float | None
    clip: float | None
    init: str
    bias: bool
    epochs: int
    batch_size: int | None
    train_size: int | None
    patience: int | None
    monitor: str
    min_delta: float
    seed: int
    dtype: str
    backend: str
    arithmetic: str
    precision: str
    data: str | None

    def make_loss(self) -> bp.Loss:
        """The loss."""
        if self.loss in CROSS_ENTROPIES:
            return CROSS_ENTROPIES[self.loss](self.reduction)
        choose("--loss", self.loss, dict.fromkeys(LOSSES))
        return SQUARED_ERRORS[self.loss]()

    def make_optimizer(self) -> bp.Optimizer:
        """The rule; clipping sees the gradient before the penalty's part is added to it."""
        own = {name: value for name in OWN_NUMBERS if (value := getattr(self, name)) is not None}
        made: bp.Optimizer = choose("--optimizer", self.optimizer, OPTIMIZERS)(self.rate, **own)
        if self.l2 is not None:
            made = bp.L2(made, self.l2)
        return made if self.clip is None else bp.ClipByGlobalNorm(made, self.clip)

    def make_layers(self, n_in: int, n_out: int) -> list[bp.Layer]:
        """Dense layers from the inputs to the outputs, with what stands between them."""
        widths = (n_in, *self.hidden, n_out)
        init = choose("--init", self.init, INITIALIZERS)()
        *inner, last = [bp.Dense(n, m, bias=self.bias, weight_init=init) for n, m in pairwise(widths)]
        between = [choose("--activation", self.activation, ACTIVATIONS)(), *self._dropout()]
        end = self.output_activation
        after = [] if end is None else [choose("--output-activation", end, ACTIVATIONS)()]
        return [*(layer for dense in inner for layer in (dense, *between)), last, *after]

    def _dropout(self) -> list[bp.Layer]:
        return [bp.Dropout(self.dropout)] if self.dropout else []

    def check(self) -> None:
        """Refuse, before any data is read, names that don't exist and options that don't go together."""
        self.make_loss()
        for name, whose in OWN_NUMBERS.items():
            if getattr(self, name) is not None and self.optimizer not in whose:
                raise ConfigurationError(
                    f"--{name.replace('_', '-')} {getattr(self, name):g} is for {' and '.join(whose)}, not for "
                    f"{self.optimizer}: leave it out"
                )
        choose("--monitor", self.monitor, dict.fromkeys(MONITORED))
        self.make_optimizer()
        self.make_layers(1, 1)
        choose("--arithmetic", self.arithmetic, dict.fromkeys(ARITHMETICS))
        choose("--precision", self.precision, dict.fromkeys(PRECISIONS))
        if self.dropout and not self.hidden:
            raise ConfigurationError(
                f"--dropout {self.dropout:g} drops hidden outputs: give --hidden sizes, or leave it out"
            )
        if self.loss in CROSS_ENTROPIES and self.output_activation is not None:
            raise ConfigurationError(
                f"--output-activation {self.output_activation!r} with --loss {self.loss}: that loss takes logits and "
                f"applies its own; leave it out, or take one of {', '.join(SQUARED_ERRORS)}"
            )


def resolve(given: Mapping[str, Any]) -> Recipe:
    """Fill in what wasn't given (None) with the dataset's defaults, and check what needs no data."""
    task = choose("dataset", given["dataset"], TASKS)
    hidden = task.hidden if given["hidden"] is None else sizes(given["hidden"])
    loss = given["loss"] or task.loss
    recipe = Recipe(**{
        **given,
        "hidden": hidden,
        "loss": loss,
        "reduction": _reduction(given["reduction"], loss),
        "rate": _rate(given["rate"], given["optimizer"], task),
        "init": given["init"] or ("he" if given["activation"] in RECTIFIERS else "xavier"),
        "epochs": task.epochs if given["epochs"] is None else given["epochs"],
    })  # fmt: skip
    recipe.check()
    return recipe


def sizes(text: str) -> tuple[int, ...]:
    """Read "128,32" as (128, 32); nothing is no hidden layer."""
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(word.isascii() and word.isdecimal() and len(word) < 8 and 1 <= int(word) <= WIDEST for word in words):
        raise ConfigurationError(
            f"--hidden {text!r}: write whole numbers from 1 to {WIDEST} and commas, such as 128,32, or '' for none"
        )
    return tuple(int(word) for word in words)


def _reduction(given: str | None, loss: str) -> str | None:
    if given is not None and loss in SQUARED_ERRORS:
        raise ConfigurationError(
            f"--reduction {given!r} is for {', '.join(CROSS_ENTROPIES)}: with squared errors the loss's name decides"
        )
    return "mean" if given is None and loss in CROSS_ENTROPIES else given


def _rate(given: float | None, optimizer: str, task: Task) -> float:
    """The rate given, the dataset's with Adam, else the optimizer's own."""
    own = choose("--optimizer", optimizer, OPTIMIZERS)().learning_rate
    if given is not None:
        return given
    return task.rate if optimizer == "adam" else float(own)
