"""Streams, events and graphs without a GPU.

A stream that captures computes nothing, but takes down what it is given, and the graph does it when it is launched;
copies from the host are done as late as events allow.
"""

from time import perf_counter
from types import SimpleNamespace
from typing import Any, ClassVar


class CaptureError(RuntimeError):
    """Something that can't be captured."""


TAPE = SimpleNamespace(calls=None)
"""The launches taken down, None where nothing is being captured."""


def forbidden(what):
    if TAPE.calls is not None:
        raise CaptureError(f"{what} while a stream is capturing")


HOST = "host"


class Stream:
    current = None

    log: ClassVar[list[Any]] = []
    """Who has waited for what, for tests."""

    def __init__(self, non_blocking=False):
        self.non_blocking, self.ptr, self.pending = non_blocking, id(self), []

    def __enter__(self):
        self._outer, Stream.current = Stream.current, self
        return self

    def __exit__(self, *_):
        Stream.current = self._outer

    def record(self):
        return Event(self)

    def wait_event(self, event):
        assert event.stream is not self
        Stream.log.append((self, event))
        event.happen()

    def synchronize(self):
        forbidden("waiting")
        Event(self).synchronize()

    def begin_capture(self):
        assert self.non_blocking
        assert Stream.current is self
        TAPE.calls = []

    def end_capture(self):
        calls, TAPE.calls = TAPE.calls, None
        return Graph(calls)


class Event:
    """A place in a stream. Copies are done as late as can be: when somebody waits for what is behind them."""

    def __init__(self, stream):
        self.stream, self.before, self.time = stream, list(stream.pending), perf_counter()

    def happen(self):
        for copy in self.before:
            if copy in self.stream.pending:
                self.stream.pending.remove(copy)
                copy()

    def synchronize(self):
        Stream.log.append((HOST, self))
        self.happen()


Stream.current = Stream()


class Graph:
    def __init__(self, calls):
        self.calls = calls

    def launch(self, stream):
        assert stream is Stream.current
        for call in self.calls:
            call()
