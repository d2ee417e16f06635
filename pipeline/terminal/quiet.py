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


def silence_unraisable() -> None:
    """Ignores what Python would print, with a traceback, of errors that nobody can catch and that
    either do no harm or are told in one line elsewhere. All others are shown.

    - Traced functions that are deleted while the interpreter ends: TensorFlow 2.16 counts its
      functions in a module's variable, which Python has already cleared by then.
    - Rows of a CSV file with another number of fields, in bytes that are not UTF-8: pyarrow decodes
      them before it calls `TornRows`, and refuses the file.
    """
    ending, show = sys.is_finalizing, sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs, name: str = FUNCTION_DELETED) -> None:
        late = ending() and getattr(unraisable.object, "__qualname__", "") == name
        undecoded = isinstance(unraisable.exc_value, UnicodeDecodeError)
        torn = undecoded and type(unraisable.object).__name__ == "TornRows"
        if not (late or torn):
            show(unraisable)

    sys.unraisablehook = hook
