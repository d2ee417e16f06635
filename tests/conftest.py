"""Which tests run, and in what order: plain modules first, then what starts TFX."""

from __future__ import annotations

import pytest

ASKED_FOR = {
    "engines": "runs Beam on the runners that deploy/engines.sh installs",
    "kubeflow": "runs containers, with what deploy/kubeflow_tools.sh makes",
}
"""Markers of tests that run only when `-m` names them, and what they need."""


def pytest_configure(config: pytest.Config) -> None:
    for marker, needs in ASKED_FOR.items():
        config.addinivalue_line("markers", f"{marker}: {needs}; asked for by name")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("markexpr")
    unasked = [marker for marker in ASKED_FOR if marker not in wanted]
    left_out = [item for item in items if any(map(item.get_closest_marker, unasked))]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    items.sort(key=lambda item: item.get_closest_marker("tfx") is not None)
