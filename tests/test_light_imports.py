"""What answers at once, or runs where no framework is installed, loads none by being imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FRAMEWORKS = ("tensorflow", "tfx", "apache_beam", "ml_metadata", "kfp")
"""Seconds to import, tens of seconds for TFX."""

LIBRARIES = ("matplotlib", "pandas", "pyarrow", "scipy", "sklearn")
"""Tenths of a second each, more than the command line may take before it says what is wrong."""

COMMAND_LINE = (
    "components/**/*settings.py",
    "labs/**/*settings.py",
    "pipeline/cli.py",
    "pipeline/commands",
    "pipeline/config.py",
    "pipeline/kubeflow_settings.py",
    "pipeline/overrides.py",
    "pipeline/terminal",
    "schemas/contract.py",
    "service/settings.py",
)
"""Files, folders with all that is in them, and patterns."""

WITHOUT_FRAMEWORK = (
    "common/pages",
    "common/routing",
    "common/runs/provenance.py",
    "common/statistics",
    "common/versions",
    "components/pusher/push.py",
    "components/trainer/network/size.py",
    "pipeline/runs",
    "pipeline/scheduling",
    "schemas",
    "service/predict.py",
    "service/routing",
)

LOADED = """
import importlib, json, sys
names, unwanted = json.loads(sys.argv[1])
for name in names:
    importlib.import_module(name)
    if loaded := [one for one in unwanted if one in sys.modules]:
        sys.exit(f"{name} loads {', '.join(loaded)}")
"""


@pytest.mark.parametrize(
    ("places", "unwanted"),
    [(COMMAND_LINE, FRAMEWORKS + LIBRARIES), (WITHOUT_FRAMEWORK, FRAMEWORKS)],
    ids=["command line", "without framework"],
)
def test_importing_loads_nothing_heavy(places: tuple[str, ...], unwanted: tuple[str, ...]) -> None:
    names = [name for place in places for name in modules(place)]
    command = [sys.executable, "-c", LOADED, json.dumps([names, unwanted])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def modules(place: str) -> Iterator[str]:
    """Full names of the modules at a place; there is one at least."""
    found = [
        file
        for path in ROOT.glob(place)
        for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))
    ]
    assert found, place
    for file in found:
        parts = file.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
