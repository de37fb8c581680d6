"""Whole epochs in one kernel, for programs that fit: docs/gpu.md."""
