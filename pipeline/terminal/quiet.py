"""Keeps the libraries' start-up messages off the terminal."""

from __future__ import annotations

import logging
import os
import warnings


def quiet_libraries() -> None:
    """Call before TensorFlow is imported, whose C++ side reads the variable once."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    for name in ("absl", "tensorflow", "root"):
        logging.getLogger(name).setLevel(logging.ERROR)
