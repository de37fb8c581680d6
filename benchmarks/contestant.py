"""A contender as the driver sees it: a process of its own, blocked on stdin unless it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from contenders import Entry
from works import Work

WORKER = Path(__file__).with_name("worker.py")


class Missing(Exception):
    """The contender can't be measured, and why."""


class Contestant:
    """Start it, `ask` it for an epoch or its accuracy, `stop` it."""

    def __init__(self, entry: Entry, work: Work, folder: Path) -> None:
        self.entry = entry
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (open as long as the process)
        job = {"work": work.as_json(), "folder": str(folder)}
        job |= {"module": entry.module, "maker": entry.maker, "device": entry.device}
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **entry.environment},
        )

    def started(self) -> dict[str, Any]:
        """Wait until its data are loaded; what it says of its libraries. Raises Missing."""
        return self._answer()

    def ask(self, what: str) -> dict[str, Any]:
        """Send a line and wait for the answer. Raises Missing."""
        assert self.process.stdin is not None
        try:
            print(what, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise Missing(self._last_words()) from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Missing(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "missing" in answer:
            raise Missing(answer["missing"])
        return answer

    def _last_words(self) -> str:
        status = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return f"ended with status {status}" + (f": {lines[-1][:300]}" if lines else "")

    def stop(self) -> None:
        """Close its stdin, at which it ends."""
        self.process.communicate()
        self.errors.close()
