"""Imported once by the process that model processes are forked from, and shared by all of them.

TensorFlow's runtime starts with its first operation and does not outlive a fork, so nothing is
computed here.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import suppress
from typing import Any

_OPTIONAL = ("keras", "h5py", "scipy", "googleapiclient", "pandas")
"""What TensorFlow and pyarrow import where it is there, and do without where it is not."""

_ARENA_MAX = -8
"""`M_ARENA_MAX` of GNU's malloc.h."""

_modules: dict[str, Any] = sys.modules
# Serving has no use for them, and they are 100 MB in every process.
_modules.update(dict.fromkeys(_OPTIONAL))

# oneDNN compiles a kernel for every number of candidates, and again in every thread and process,
# which takes longer than the call; TensorFlow's own kernels are as fast from the first call on.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

# One thread warms a version up and another answers. With one heap for all, the second finds the
# memory that the first has got from the system.
with suppress(AttributeError):  # a libc other than GNU's
    ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)

import service.workers.worker  # noqa: E402, F401

# What is frozen is not visited by the collector, and so not copied by each process.
gc.collect()
gc.freeze()
