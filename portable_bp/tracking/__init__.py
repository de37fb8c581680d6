"""Callbacks that keep a training's rows elsewhere while it runs, all under the history's names."""

from portable_bp.tracking.csv_log import CSVLog
from portable_bp.tracking.json_lines import JSONLines
from portable_bp.tracking.tensorboard import TensorBoard
from portable_bp.tracking.weights_and_biases import WandB

__all__ = ["CSVLog", "JSONLines", "TensorBoard", "WandB"]
