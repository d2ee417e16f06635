"""Which tests run, in what order, and which of them in the same worker."""

from __future__ import annotations

import pytest

pytest_plugins = ["handmade_log"]

ASKED_FOR = {
    "engines": "runs Beam on the runners that deploy/engines.sh installs",
    "kubeflow": "runs containers, with what deploy/kubeflow_tools.sh makes",
}
"""Markers of tests that run only when `-m` names them, and what they need."""


def pytest_configure(config: pytest.Config) -> None:
    for marker, needs in ASKED_FOR.items():
        config.addinivalue_line("markers", f"{marker}: {needs}; asked for by name")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("markexpr")
    unasked = [marker for marker in ASKED_FOR if marker not in wanted]
    left_out = [item for item in items if any(map(item.get_closest_marker, unasked))]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    # What takes longest begins first, so that no worker ends long after the others.
    items.sort(
        key=lambda item: (
            item.get_closest_marker("tfx") is None,
            "first_run" not in item.fixturenames,
        )
    )
    for item in items:
        # A worker makes its own fixtures: the one run of the pipeline is to be made once.
        group = "run" if "first_run" in item.fixturenames else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
