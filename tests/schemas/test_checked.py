"""What is said of settings that are not right: one line, the source first."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import Field, PositiveInt

from schemas.base import Days, Frozen
from schemas.checked import checked, checked_json, checked_yaml
from schemas.errors import InputError


class Size(Frozen):
    width: PositiveInt
    names: tuple[str, ...] = ()


def test_what_is_right_becomes_the_model() -> None:
    wanted = Size(width=3, names=("a",))
    assert checked(Size, {"width": 3, "names": ["a"]}, "size") == wanted
    assert checked_json(Size, b'{"width": 3, "names": ["a"]}', "size") == wanted
    assert checked_yaml(Size, b"width: 3\nnames: [a]\n", "size") == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width: 0", "width: Input should be greater than 0 (seen: 0)"),
        ("names: [a]", "width: Field required (seen: {'names': ['a']})"),
        ("{width: 3, depth: 1}", "depth: unknown key (seen: 1)"),
        ("{width: 3, names: [a, 2]}", "names.1: Input should be a valid string (seen: 2)"),
        ("{width: 0, depth: 1}", "width: Input should be greater than 0 (seen: 0) [and 1 more]"),
        ("", "Input should be a valid dictionary or instance of Size"),
    ],
)
def test_the_first_problem_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        checked_yaml(Size, text, "size.yaml")
    assert str(caught.value) == f"size.yaml: {message}"


def test_what_cannot_be_read_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^size.json: not JSON: .*$"):
        checked_json(Size, b"{", "size.json")
    with pytest.raises(InputError, match=r"^size.json: not JSON: key 'width' is there twice$"):
        checked_json(Size, '{"width": 3, "width": 4}', "size.json")
    with pytest.raises(InputError, match=r"^size.json: not JSON: brackets nested too deeply$"):
        checked_json(Size, "[" * 100_000, "size.json")
    assert checked_json(Size, b'\xef\xbb\xbf{"width": 3}', "size").width == 3
    for text in ("width: [", b"width: \xff"):
        with pytest.raises(InputError, match=r"^size.yaml: not YAML: [^\n]*$"):
            checked_yaml(Size, text, "size.yaml")


class Flags(Frozen):
    width: PositiveInt = 1
    days: Days = 1
    rates: tuple[float, ...] = ()
    either: int | bool = 0
    deep: bool = False
    sizes: tuple[Size, ...] = ()
    options: dict[str, object] = Field(default_factory=dict)
    shares: Mapping[str, float] = Field(default_factory=dict)


@pytest.mark.parametrize(
    "text",
    ["width: true", "rates: [0.5, false]", "shares: {a: true}", "sizes: [{width: true}]"],
)
def test_true_and_false_are_no_numbers(text: str) -> None:
    with pytest.raises(InputError, match=r"flags: .*wanted neither true nor false"):
        checked_yaml(Flags, text, "flags")


@pytest.mark.parametrize(
    "text",
    [
        *("width: '6_4'", "width: 6_4", "width: '064'", "width: ' 64'", "width: ٦٤"),
        *("shares: {a: '0_5'}", "rates: [1_0e-2]", "rates: ['00.5']", "sizes: [{width: '6_4'}]"),
    ],
)
def test_texts_that_only_some_readers_take_for_a_number_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"flags: .*wanted a number in plain decimal digits"):
        checked_yaml(Flags, text, "flags")


def test_plain_texts_of_numbers_are_numbers() -> None:
    found = checked_yaml(Flags, "{width: '64', rates: ['0.5', '1e-3', '-0']}", "flags")
    assert (found.width, found.rates) == (64, (0.5, 0.001, 0.0))
    assert checked(Size, {"width": 1, "names": ["6_4", "050"]}, "size").names == ("6_4", "050")


@pytest.mark.parametrize("key", ["days: 0x{}", "rates: [0x{}]", "sizes: [0x{}]"])
def test_a_number_of_too_many_digits_is_one_short_line(key: str) -> None:
    with pytest.raises(InputError, match=r"^flags: [^\n]{1,150}$"):
        checked_yaml(Flags, key.format("f" * 5000), "flags")


def test_true_and_false_are_themselves() -> None:
    text = "{deep: true, either: true, options: {a: true}, sizes: [{width: 2}], width: 3}"
    found = checked_yaml(Flags, text, "flags")
    assert (found.deep, found.either, found.options, found.width) == (True, True, {"a": True}, 3)
