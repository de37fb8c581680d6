"""Checks that users can run on their own networks and backends."""

from portable_bp.checking.comparison import compare_backends
from portable_bp.checking.differences import check_gradients
from portable_bp.checking.report import Check, Report
from portable_bp.checking.verification import verify_backends

__all__ = ["Check", "Report", "check_gradients", "compare_backends", "verify_backends"]
