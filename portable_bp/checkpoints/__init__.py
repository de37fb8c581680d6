"""Checkpoints: everything that the next step of a training depends on, in one file, so that it may end at any time."""

from portable_bp.checkpoints.checkpoint import Checkpoint

__all__ = ["Checkpoint"]
