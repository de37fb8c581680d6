"""A small training to track, and Weights & Biases kept quiet and off the network."""

import numpy as np
import pytest

import portable_bp as bp

X = np.arange(24.0).reshape(6, 4) / 24
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # for the folder "wandb" that it makes where it is
    for name, value in (("WANDB_SILENT", "true"), ("WANDB_ERROR_REPORTING", "false"), ("WANDB_MODE", "offline")):
        monkeypatch.setenv(name, value)


@pytest.fixture
def net():
    return bp.Network([bp.Dense(4, 3)], bp.SoftmaxCrossEntropy(), seed=7, dtype="float64")


@pytest.fixture
def fit(net):
    """Three epochs with these callbacks: what was measured."""

    def train(*callbacks, **options):
        how = {
            "optimizer": bp.L2(bp.Adam(0.01), 0.5),
            "epochs": 3,
            "batch_size": 4,
            "validation": (X, LABELS),
            **options,
        }
        return net.fit(X, LABELS, progress=False, callbacks=list(callbacks), **how)

    return train


@pytest.fixture
def wandb():
    """Weights & Biases itself; a mere folder "wandb" of runs would be imported as a package, without this module."""
    pytest.importorskip("wandb.sdk", reason="wandb isn't installed")
    import wandb

    return wandb
