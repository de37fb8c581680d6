"""Weights & Biases."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portable_bp.callbacks import Callback
from portable_bp.errors import ConfigurationError
from portable_bp.history import Row
from portable_bp.tracking.configuration import configuration

if TYPE_CHECKING:
    from portable_bp.network import Network


class WandB(Callback):
    """Log every row to a run of Weights & Biases, with the epoch as the charts' axis.

    All arguments are those of `wandb.init`: ``mode="offline"`` writes to the disk and needs no account. A run that is
    active already, such as a sweep agent's, is logged to and left open; else each fit is a run of its own, finished at
    its end. The configuration goes into the run's config, where a key that is there already stays as it is.
    """

    only_reads_rows = True

    def __init__(self, project: str | None = None, **init: Any) -> None:
        self.init = {"project": project, **init}
        self._run: Any = None
        self._owned = False
        try:
            from wandb import init as begin  # by name, since a folder "wandb" of runs would be imported as a package
        except ImportError as error:
            raise ConfigurationError("WandB needs wandb: pip install 'portable-bp[wandb]'") from error
        try:
            signature(begin).bind(**self.init)
            if (
                init.get("dir") is not None
            ):  # wandb's own process would look for it in the folder that it was started in
                self.init["dir"] = str(Path(init["dir"]).absolute())
        except TypeError as error:
            raise ConfigurationError(f"WandB {error}: give arguments of wandb.init, such as mode='offline'") from error

    def on_fit_begin(self, net: Network, epochs: int) -> None:
        import wandb

        active = wandb.run
        try:
            self._run = wandb.init(**self.init)
        except (wandb.Error, ValueError) as error:  # its settings are checked by pydantic, whose errors are ValueErrors
            said = " ".join(str(error).split())
            raise ConfigurationError(
                f"wandb.init refused ({said}): mend its argument, log in, or try mode='offline'"
            ) from error
        self._owned = self._run is not active
        self._run.config.setdefaults(configuration(net))
        for column in net.settings["columns"]:
            self._run.define_metric(column, step_metric=None if column == "epoch" else "epoch")

    def on_epoch_end(self, net: Network, row: Row) -> None:
        self._run.log(dict(row))

    def on_fit_end(self, net: Network) -> None:
        if self._run is not None and self._owned:
            self._run.finish()
        self._run = None
