"""Model processes: pushes, deaths and the line to them, on models of TensorFlow's."""

from __future__ import annotations
