"""Setup ids and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.setup_id import setup_id, setup_values


@given(st.lists(st.text("a|\\\\\nb"), min_size=1, max_size=4))
def test_the_values_of_an_id_are_those_it_was_made_of(values: list[str]) -> None:
    assert setup_values(setup_id(values)) == values


def test_an_id_that_was_not_made_by_us_has_values_all_the_same() -> None:
    assert setup_values("") == [""]
    assert setup_values("a|b\\\\") == ["a", "b\\"]
    assert setup_values("a\\") == ["a\\"]
