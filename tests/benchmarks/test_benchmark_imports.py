"""Every benchmark still fits the code that it measures, as far as an import tells."""

from __future__ import annotations

import importlib.util
import pkgutil
import subprocess
import sys
from pathlib import Path

import benchmarks

ROOT = Path(__file__).parents[2]

NEEDS = {"benchmarks.contestants.train_torch": "torch"}
"""Modules that run in an environment of their own, and the package that this one may lack."""

IMPORT_ALL = """
import importlib, sys, traceback
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception:
        print(name, traceback.format_exc(limit=-1))
"""


def test_every_module_can_be_imported() -> None:
    found = [m.name for m in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")]
    names = [n for n in found if n not in NEEDS or importlib.util.find_spec(NEEDS[n])]
    assert len(names) > 20
    # In a process of their own: one of them decides which Keras TensorFlow takes.
    command = [sys.executable, "-c", IMPORT_ALL, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
