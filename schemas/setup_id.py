"""The canonical id of a conversion setup: its column values in contract order."""

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

SEPARATOR = "|"
ESCAPE = "\\"

_TOKEN = re.compile(r"\\.|.", re.DOTALL)


def setup_id(values: Sequence[str]) -> str:
    """Joins the values with `|`; a `|` or backslash inside a value is escaped by a backslash.

    >>> setup_id(["acme", "buy|now"])
    'acme|buy\\\\|now'
    """
    return SEPARATOR.join(
        value.replace(ESCAPE, ESCAPE * 2).replace(SEPARATOR, ESCAPE + SEPARATOR) for value in values
    )


def setup_values(setup: str) -> list[str]:
    """The values that `setup_id` joined.

    >>> setup_values("acme|buy\\\\|now")
    ['acme', 'buy|now']
    """
    if ESCAPE not in setup:
        return setup.split(SEPARATOR)
    values = [""]
    for token in _TOKEN.findall(setup):
        if token == SEPARATOR:
            values.append("")
        else:
            values[-1] += token[-1]
    return values


def checked_values(setup: str, columns: Sequence[str]) -> list[str]:
    """`setup_values` of an id that may come from anywhere, one a column.

    Raises:
      ValueError: `setup_id` makes no such id of values of these columns; the message says why.
    """
    values = setup_values(setup)
    wanted = f"wanted {SEPARATOR.join(columns)}"
    if len(values) != len(columns):
        raise ValueError(f"{setup!r} has {len(values)} of {len(columns)} values; {wanted}")
    if "" in values:
        raise ValueError(f"{setup!r} has no {columns[values.index('')]}; {wanted}")
    if ESCAPE in setup and (canonical := setup_id(values)) != setup:
        raise ValueError(f"{setup!r} has a {ESCAPE!r} that escapes nothing; wanted {canonical!r}")
    return values


def setup_ids(columns: Sequence[pa.Array]) -> pa.Array:
    """`setup_id` over string arrays of one length; null where any of them is null."""
    escaped = [
        pc.replace_substring(
            pc.replace_substring(column, ESCAPE, ESCAPE * 2), SEPARATOR, ESCAPE + SEPARATOR
        )
        for column in columns
    ]
    return pc.binary_join_element_wise(*escaped, SEPARATOR)
