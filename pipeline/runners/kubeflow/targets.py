"""Orchestrators that the pipeline can be compiled for."""

from __future__ import annotations

from typing import Literal, get_args

Target = Literal["kfp", "vertex"]
KFP: Target = "kfp"
VERTEX: Target = "vertex"
TARGETS: tuple[Target, ...] = get_args(Target)
