"""Parameters as users see them, and trees of arrays moved as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portable_bp.arrays import Array
from portable_bp.errors import ConfigurationError


class LayerParams(dict[str, Array]):
    """One layer's parameters by name; to read, not to write into."""

    def __setitem__(self, name: str, array: Array) -> None:
        raise ConfigurationError(
            f"params[…][{name!r}] can't be set alone: take new = [dict(own) for own in net.params], change it, and "
            "write net.params = new"
        )


def mapped(move: Callable[[Any], Any], tree: Any) -> Any:
    """The tree of dicts and lists with every array moved."""
    if isinstance(tree, dict):
        return {name: mapped(move, branch) for name, branch in tree.items()}
    return [mapped(move, branch) for branch in tree] if isinstance(tree, list) else move(tree)
