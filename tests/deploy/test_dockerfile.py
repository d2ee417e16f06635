"""The Dockerfile against the tree that it is built from; its image is tested with `-m kubeflow`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """Pairs of keyword and rest, continued lines joined."""
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = lines.replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = [[]]
    for keyword, rest in instructions():
        if keyword == "FROM":
            found.append([])
        found[-1].append((keyword, rest))
    return found


def sources() -> list[str]:
    """Paths that the stages copy from the checkout."""
    copied = [rest for keyword, rest in instructions() if keyword == "COPY"]
    return sorted({path for rest in copied if "--from" not in rest for path in rest.split()[:-1]})


def test_the_last_stage_has_a_numeric_user_no_entrypoint_and_installs_nothing() -> None:
    last = stages()[-1]
    assert [rest for keyword, rest in last if keyword == "USER"] == ["1000:1000"]
    assert not any(keyword == "ENTRYPOINT" for keyword, _ in last)
    assert not any(
        re.search(r"\b(apt-get|pip|uv)\b", rest) for keyword, rest in last if keyword == "RUN"
    )


def test_every_stage_starts_from_the_base() -> None:
    assert instructions()[0] == ("ARG", "BASE=docker.io/library/python:3.11-slim-bookworm")
    bases = [rest.split()[0] for keyword, rest in instructions() if keyword == "FROM"]
    assert set(bases) == {"${BASE}", "tools"}


@pytest.mark.parametrize("path", sources())
def test_what_is_copied_exists_and_is_let_into_the_build(path: str) -> None:
    assert (ROOT / path).exists()
    first, *allowed = (ROOT / ".dockerignore").read_text().split()
    assert first == "*"
    roots = [Path(line[1:]) for line in allowed if line.startswith("!")]
    assert any(root == Path(path) or root in Path(path).parents for root in roots)


def test_every_package_of_the_distribution_is_copied() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = settings["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {package.rstrip("*") for package in packages} <= set(sources())


def test_uv_is_of_the_version_that_the_makefile_installs() -> None:
    [made] = re.findall(r"^UV_VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.M)
    [built] = [rest for keyword, rest in instructions() if rest.startswith("UV_VERSION=")]
    assert built == f"UV_VERSION={made}"
