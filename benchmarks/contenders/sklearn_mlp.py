"""scikit-learn's MLPClassifier: MNIST by partial_fit over the whole set, the encoder by one fit of all its steps.

A call of partial_fit over the whole set *is* one shuffled epoch of mini-batches, and unlike fit with warm_start it
keeps Adam's averages. With an integer random_state every call would shuffle alike, so a RandomState is given. The
encoder's SGD without momentum has no state, so fit with warm_start goes on exactly. Initial weights can't be given.
"""

from __future__ import annotations

import warnings

import numpy as np
from problem import Array, Problem
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from contenders.contender import Contender

NEVER = 10**9


class Sklearn(Contender):
    """No penalty, no early stopping."""

    def __init__(self, problem: Problem, device: str) -> None:
        warnings.simplefilter("ignore", ConvergenceWarning)
        work = self.work = problem.work
        self.x, self.y = problem.x, problem.y if work.softmax else problem.y.astype(int)
        own = {"activation": "relu"} if work.softmax else {"activation": "logistic", "solver": "sgd", "momentum": 0.0}
        self.net = MLPClassifier(
            hidden_layer_sizes=work.widths[1:-1],
            learning_rate_init=work.rate,
            batch_size=work.batch,
            alpha=0.0,
            max_iter=work.steps or 1,
            n_iter_no_change=NEVER,
            warm_start=not work.softmax,
            shuffle=work.softmax,
            random_state=np.random.RandomState(0),
            **own,
        )

    def epoch(self) -> float:
        if self.work.softmax:
            self.net.partial_fit(self.x, self.y, classes=np.arange(10))
        else:
            self.net.fit(self.x, self.y)
        return float(np.mean(self.net.loss_curve_[-(self.work.steps or 1) :]))

    def logits(self, x: Array) -> Array:
        return np.asarray(self.net.predict_proba(x))
