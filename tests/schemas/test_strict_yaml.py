"""YAML that says a thing twice, or that two readers read differently, is refused."""

from __future__ import annotations

import pytest

from schemas.strict_yaml import load

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(f'*{before}' for _ in range(10))}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("12:30", "12:30"),
        ("[yes, no, on, off]", ["yes", "no", "on", "off"]),
        ("[true, False, ~, null]", [True, False, None, None]),
        ("a:", {"a": None}),
        ("", None),
        ("[0, -7, 0x1F, 1e-3, .5, 2.]", [0, -7, 31, 0.001, 0.5, 2.0]),
        ("2026-02-20", "2026-02-20"),
        ("2024-13-45", "2024-13-45"),
        ("'050'", "050"),
        ("[!!int '50', !!int 0x1F, !!float '50', !!float 1e-3]", [50, 31, 50.0, 0.001]),
        ("a: &a {x: 1}\nb: {<<: *a, y: 2}", {"a": {"x": 1}, "b": {"x": 1, "y": 2}}),
        ("a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: *b}", {
            "a": {"x": 1}, "b": {"x": 2}, "c": {"x": 2},
        }),
        ("ä: ö".encode("utf-16"), {"ä": "ö"}),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str | bytes, wanted: object) -> None:
    assert load(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"'a' is there twice.*line 3"),
        ("a: {b: 1, 'b': 1}", r"'b' is there twice"),
        ("- [{x: 1, x: 1}]", r"'x' is there twice"),
        ("a: 050", r"050 is octal"),
        ("a: -08", r"-08 is octal"),
        ('a: "x\\0y"', r"a NUL character.*line 1"),
        ("[" * 3000, r"nested too deeply"),
        ("[" * 3000 + "]" * 3000, r"nested too deeply"),
        ("&a [*a]", r"an alias that holds itself"),
        (BOMB, r"more than 1,000,000 values"),
        (b"a: \xff", r"invalid start byte"),
        ("a: 1".encode("utf-16-le"), r"special characters are not allowed"),
        ("!!timestamp 2024-13-45", r"month must be"),
        ("1" * 5000, r"Exceeds the limit"),
        ("a: 1\n---\nb: 1", r"single document"),
        ("!!python/object:os.system x", r"could not determine a constructor"),
        ("a: !!bool x", r"its tag or escape cannot stand for"),
        ("a: !!timestamp foo", r"its tag or escape cannot stand for"),
        *(
            (f"a: !!{tag} {text!r}", rf"'{text}' is tagged as a number; wanted .*plain")
            for tag, texts in {
                "int": ("", "050", "1:30", "6_4", "0b11", "0o62", " 5", "5.0"),
                "float": ("", "_", "1_0e-2", "1:30.5", "050", "00.5e", "nan"),
            }.items()
            for text in texts
        ),
        ("a: !!int [1]", r"tagged as a number|expected a scalar"),
        ('a: "\\UFFFFFFFF"', r"its tag or escape cannot stand for"),
    ],
)
def test_what_is_refused_is_one_line_that_says_where(text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load(text)
    assert "\n" not in str(caught.value)
