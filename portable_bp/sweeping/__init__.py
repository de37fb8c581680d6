"""Sweeps: many training runs of one definition, one table of results. `portable_bp.sweep` starts one."""
