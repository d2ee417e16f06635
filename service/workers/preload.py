"""Imported once by the process that model processes are forked from, and shared by all of them.

TensorFlow's runtime starts with its first operation and does not outlive a fork, so nothing is
computed here.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

_modules: dict[str, Any] = sys.modules
# TensorFlow imports Keras for its own bookkeeping, 150 MB that serving has no use for.
_modules["keras"] = None

import service.workers.worker  # noqa: E402, F401

del _modules["keras"]
# What is frozen is not visited by the collector, and so not copied by each process.
gc.collect()
gc.freeze()
