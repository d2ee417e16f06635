"""Contestants that take turns: each a process that waits until it is told to run its next block.

On a machine that other work shares, blocks of a second or two that alternate meet the same
neighbours, and the ratio of a round is worth more than any time in seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from types import TracebackType
from typing import Any, Protocol

from benchmarks.measure import ROOT

Figures = dict[str, float]


class Contestant(Protocol):
    """What the function named to `Turns` returns."""

    def block(self) -> Figures:
        """Runs one block; figures of its own, laid over the times that are measured around it."""


class Turns:
    """A contestant in a process of its own, used in a `with` statement."""

    def __init__(
        self,
        function: str,
        arguments: Mapping[str, Any],
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
          function: `package.module:function`, called with the arguments; returns a `Contestant`.
          python: interpreter to run it with.
          environment: variables laid over this process's.
        """
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.turns", function, json.dumps(dict(arguments))],
            cwd=ROOT,
            env=os.environ | quiet | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Turns:
        self._answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def block(self) -> Figures:
        """Lets it run its next block.

        Returns:
          `wall` and `cpu` seconds, `peak_gb` of the process so far, and its own figures.

        Raises:
          RuntimeError: it ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write("block\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Figures:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r}: ended with {self._process.wait()}")
        figures: Figures = json.loads(line)
        return figures


def serve(contestant: Callable[..., Contestant], arguments: Mapping[str, Any]) -> None:
    """The contestant's side: sets up, says so, and answers each line on stdin by a block."""
    from benchmarks.child import peak_gb

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # Whatever a library prints must not look like an answer.
    os.dup2(2, 1)
    one = contestant(**arguments)
    one.block()
    answers.write("{}\n")
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        figures = one.block()
        times = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        answers.write(json.dumps(times | {"peak_gb": peak_gb()} | figures) + "\n")


def main() -> None:
    module, _, name = sys.argv[1].partition(":")
    serve(getattr(import_module(module), name), json.loads(sys.argv[2]))


if __name__ == "__main__":
    main()
