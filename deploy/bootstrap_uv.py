"""Puts the uv program at a path, on a machine that has Python and nothing else.

    python3 deploy/bootstrap_uv.py VERSION TARGET

Uses pip where there is one (it knows the machine's mirrors and certificates), else reads the wheel
from the package index named by UV_DEFAULT_INDEX or PIP_INDEX_URL, PyPI otherwise, and checks its
SHA-256 against the index. Standard library only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

INDEX = "https://pypi.org/simple"


def main(version: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("pip"):
            unpack_with_pip(version, Path(folder))
            uv = Path(folder) / "bin" / "uv"
        else:
            uv = unpack_wheel(version, Path(folder))
        # Renamed into place: an interrupted copy must not look like an installed program.
        partial = target.with_name(f".{target.name}.partial")
        shutil.copy(uv, partial)
        partial.chmod(0o755)
        partial.replace(target)
    print(f"installed uv {version} at {target}")


def unpack_with_pip(version: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--target", str(folder), f"uv=={version}"], check=True)


def unpack_wheel(version: str, folder: Path) -> Path:
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or INDEX
    request = urllib.request.Request(
        f"{index.rstrip('/')}/uv/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    wheel = pick_wheel(files, version, platform.machine())
    with urllib.request.urlopen(wheel["url"], timeout=600) as answer:
        content = answer.read()
    digest = hashlib.sha256(content).hexdigest()
    if digest != wheel["hashes"]["sha256"]:
        sys.exit(f"{wheel['filename']}: seen SHA-256 {digest}, wanted {wheel['hashes']['sha256']}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        return Path(archive.extract(member, folder))


def pick_wheel(files: list[dict], version: str, machine: str) -> dict:
    """The manylinux wheel of this version and machine."""
    for file in files:
        name = file["filename"]
        if name.startswith(f"uv-{version}-") and "manylinux" in name and machine in name:
            return file
    sys.exit(f"the package index has no manylinux wheel of uv {version} for {machine}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
