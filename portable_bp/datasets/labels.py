"""Class numbers as targets: label k becomes a row with a one in column k."""

import numpy as np
import numpy.typing as npt

from portable_bp.arguments import whole_number
from portable_bp.errors import DataError


def to_one_hot(labels: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.float64]:
    """y[i, k] = 1 where labels[i] = k, else 0.

    labels: (n,) integers in 0..n_classes-1. y: (n, n_classes) float64.
    DataError: labels that are empty, not integers, not 1-D or out of range.
    """
    columns = np.arange(whole_number("n_classes", n_classes, 1))
    y: npt.NDArray[np.bool_] = _labels(labels, n_classes)[:, None] == columns
    return y.astype(np.float64)


def _labels(given: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.integer]:
    try:
        labels = np.asarray(given)
    except (TypeError, ValueError) as error:  # ragged lists; arrays that live on a device
        raise DataError(
            f"labels of type {type(given).__name__} are no NumPy array: labels are integers of "
            "shape (n,); bring them to the host and make their rows equally long"
        ) from error
    if labels.ndim != 1 or labels.size == 0:
        raise DataError(
            f"labels have shape {labels.shape}: they must be of shape (n,), n at least 1; "
            "flatten them, or use them as they are if they are one-hot already"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"labels are {labels.dtype}: class numbers must be integers; convert them with labels.astype(int)"
        )
    _require_known_classes(labels, n_classes)
    return labels


def _require_known_classes(labels: npt.NDArray[np.integer], n_classes: int) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if wrong.size:
        raise DataError(
            f"label {labels[wrong[0]]} at position {wrong[0]} is out of range: with "
            f"n_classes={n_classes} labels run from 0 to {n_classes - 1}; count classes from 0 "
            "or raise n_classes"
        )
