"""Order of the tests: plain modules first, then what starts TFX."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("tfx") is not None)
