"""One small run of the whole pipeline, shared by the tests that look at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_log import FinishedRun, Project, make_project, write_clicks


@pytest.fixture(scope="session")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log") / "clicks"
    write_clicks(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path, clicks: Path) -> Project:
    """A project of the test's own over the shared log."""
    return make_project(tmp_path, clicks)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory, clicks: Path) -> FinishedRun:
    """The first run in an empty folder."""
    made = make_project(tmp_path_factory.mktemp("project"), clicks)
    done = made.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return FinishedRun(made, made.runs()[0], done.stdout)


@pytest.fixture(scope="session")
def second_run(first_run: FinishedRun) -> FinishedRun:
    """The same command again."""
    done = first_run.project.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return FinishedRun(first_run.project, first_run.project.runs()[1], done.stdout)
