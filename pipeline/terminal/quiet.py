"""Keeps what libraries say of their own start and end off the terminal."""

from __future__ import annotations

import logging
import os
import sys
import warnings


def quiet_libraries() -> None:
    """Call before TensorFlow is imported, whose C++ side reads the variable once."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    for name in ("absl", "tensorflow", "root"):
        logging.getLogger(name).setLevel(logging.ERROR)


FUNCTION_DELETED = "AtomicFunction.__del__"


def silence_late_deletions() -> None:
    """Ignores errors of traced functions that are deleted while the interpreter ends.

    TensorFlow 2.16 counts its functions in a module's variable, which Python has already cleared
    when a function that lived till the end is deleted. Nothing is lost, but the traceback that
    Python prints for each of them buries the run's summary. All other errors are shown.
    """
    ending, show = sys.is_finalizing, sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs, name: str = FUNCTION_DELETED) -> None:
        if not ending() or getattr(unraisable.object, "__qualname__", "") != name:
            show(unraisable)

    sys.unraisablehook = hook
