"""The form that every dataset has: inputs beside targets, in up to three parts."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Split(NamedTuple):
    """Inputs and targets of the same examples, row by row.

    x: (n, ...) floats, or bytes where they were asked for. y: (n,) int64 class numbers, or (n, n_out) float64 targets.
    """

    x: npt.NDArray[np.floating[Any] | np.uint8]
    y: npt.NDArray[Any]


@dataclass(frozen=True, eq=False)  # arrays have no single truth value: two datasets are never ==
class Dataset:
    """A classification dataset cut into parts that share no example.

    train: what the gradient sees. validation: what choices are made on, None where there is none.
    test: what is reported once. Labels are int64, from 0 to n_classes - 1.
    """

    train: Split
    validation: Split | None
    test: Split
    n_classes: int
    name: str
