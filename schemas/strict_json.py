"""JSON of which no reader can hold two opinions.

Of two equal keys in an object most readers take the last one, some the first; here it is refused.
"""

from __future__ import annotations

import json
from typing import Any


def load(text: str | bytes) -> Any:
    """The value that the text (bytes: UTF-8, with or without a mark) holds.

    Raises:
      ValueError: it is not JSON, or has a key twice; one line says what and where.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("brackets nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise ValueError(f"key {twice!r} is there twice")
    return found
