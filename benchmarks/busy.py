"""How busy a GPU is while something runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from statistics import fmean
from typing import Any

SAMPLING_MS = 200


class Busy:
    """Asks nvidia-smi, while a block runs, how busy the first GPU is; used in a `with` statement.

    Args:
      on: whether there is one to ask about.
    """

    def __init__(self, on: bool) -> None:
        self._command = shutil.which("nvidia-smi") if on else None
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []

    def __enter__(self) -> Busy:
        if self._command is not None:
            wanted = "--query-gpu=utilization.gpu,memory.used,power.draw"
            form = "--format=csv,noheader,nounits"
            command = [self._command, "--id=0", wanted, form, f"--loop-ms={SAMPLING_MS}"]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._lines = self._process.communicate()[0].splitlines()

    def figures(self) -> dict[str, Any]:
        """`busy` (share of the time in which a kernel ran), `device_gb` in use at most and `watts`,
        over `samples`; empty without a GPU or nvidia-smi."""
        return sampled(self._lines) if self._lines else {}


def sampled(lines: Sequence[str]) -> dict[str, Any]:
    """Figures of nvidia-smi's lines `utilization %, memory MiB, power W`; what it does not know
    (`[N/A]`) is left out.

    >>> sampled(["50, 1024, 100.0", "100, 2048, [N/A]"])
    {'samples': 2, 'busy': 0.75, 'device_gb': 2.147483648, 'watts': 100.0}
    """
    columns: list[list[float]] = [[], [], []]
    for line in lines:
        for column, text in zip(columns, line.split(","), strict=False):
            try:
                column.append(float(text))
            except ValueError:
                continue
    busy, memory, power = columns
    figures: dict[str, Any] = {"samples": len(lines)}
    if busy:
        figures["busy"] = fmean(busy) / 100
    if memory:
        figures["device_gb"] = max(memory) * 2**20 / 1e9
    if power:
        figures["watts"] = fmean(power)
    return figures
