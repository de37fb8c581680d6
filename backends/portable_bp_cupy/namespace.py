"""CuPy's Array API namespace, which becomes NumPy's while a step is being recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

from portable_bp_numpy.namespace import Namespace as HostNamespace
from portable_bp_numpy.recording import replaced


class Namespace:
    """``device``, a namespace of CuPy's; inside `recording`, on this thread, NumPy's, in which a step can be recorded.

    A step closes over the namespace that it was written with, so one object has to be both. ``hosted`` turns an array
    of the device into NumPy's and leaves everything else as it is: steps may close over arrays too.
    """

    def __init__(self, device: Any, hosted: Callable[[Any], Any]) -> None:
        self._device, self._hosted, self._host = device, hosted, HostNamespace()
        self._thread = local()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Hand every function called here on this thread to NumPy's namespace."""
        self._thread.recording = True
        try:
            yield
        finally:
            self._thread.recording = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self._device, name)
        if callable(found) and not isinstance(found, type):
            found = self._either(name, found)
        setattr(self, name, found)  # found once; later look-ups don't come here
        return found

    def _either(self, name: str, on_device: Callable[..., Any]) -> Callable[..., Any]:
        def function(*args: Any, **kwargs: Any) -> Any:
            if not getattr(self._thread, "recording", False):
                return on_device(*args, **kwargs)
            args, kwargs = replaced(self._hosted, args), replaced(self._hosted, kwargs)
            return getattr(self._host, name)(*args, **kwargs)

        function.__name__ = name
        return function
