"""Lists the bounds of pyproject.toml that hold back newer releases, each with its reason there.

    python deploy/outdated.py UV

Reads what `uv tree --outdated` says of the lock and the package index. The bounds of the older set
(Python 3.11) are left out: holding back is what it is for. Exits with 1 where a bound that holds
back has no reason in `[tool.hardtower.held-back]`, or a reason there has no such bound any more.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
NEWER_SET = {"python_version": "3.13", "python_full_version": "3.13.0"}


def main(uv: str) -> int:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    reasons = settings["tool"]["hardtower"]["held-back"]
    tree = [uv, "tree", "--outdated", "--depth=1", "--frozen", "--universal", "--all-groups"]
    done = subprocess.run(tree, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    held = holding(bounds(settings), latest(done.stdout))
    for name, said in held.items():
        print(f"{name}: {said}\n    {reasons.get(name, 'NO REASON in [tool.hardtower.held-back]')}")
    stale = sorted(set(reasons) - set(held))
    for name in stale:
        print(f"{name}: holds nothing back; its reason can go")
    return int(bool(stale) or not set(held) <= set(reasons))


def bounds(settings: Mapping) -> list[Requirement]:
    """What is asked for where the newer set is installed, by the project, its extras and groups."""
    project = settings["project"]
    asked = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *settings["dependency-groups"].values(),
    ]
    found = [Requirement(line) for lines in asked for line in lines]
    return [one for one in found if one.marker is None or one.marker.evaluate(NEWER_SET)]


def latest(tree: str) -> dict[str, str]:
    """The newest release of each package, by its name, from `uv tree --outdated`."""
    lines = re.findall(r"^\S+ ([\w.-]+)\S* v(\S+)(.*)$", tree, re.MULTILINE)
    newest: dict[str, str] = {}
    for name, locked, rest in lines:
        newer = re.search(r"\(latest: v(\S+)\)", rest)
        seen = (newest.get(canonicalize_name(name), "0"), newer[1] if newer else locked)
        # Each set has a line, and to Python 3.11 an older release can be the newest.
        newest[canonicalize_name(name)] = max(seen, key=Version)
    return newest


def holding(asked: Sequence[Requirement], newest: Mapping[str, str]) -> dict[str, str]:
    """Names of packages whose newest release the bounds refuse, with both."""
    return {
        name: f"{one.specifier} refuses {newest[name]}"
        for one in sorted(asked, key=lambda it: it.name)
        if (name := canonicalize_name(one.name)) in newest and newest[name] not in one.specifier
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
