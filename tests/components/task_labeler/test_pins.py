"""Reviewed pins: the file, its errors and the days that they hold on."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from common.days import to_day
from components.task_labeler.decide.pins import Pin, pinned_sides, read_pins
from components.task_labeler.settings import LabellingSettings, with_pins
from schemas.errors import InputError

FILE = """\
pins:
  - setup: acme|buy
    side: soft
    reviewed_by: j.doe
    reason: brand campaign, billed by click
    expires: 2026-03-03
  - setup: acme|visit
    side: hard
    reviewed_by: j.doe
    reason: refunds
    since: 2026-03-02
    expires: 2026-03-04
"""


SETUP = ("shop", "goal")


def write(folder: Path, text: str = FILE) -> Path:
    path = folder / "pins.yaml"
    path.write_text(text)
    return path


def test_pins_hold_from_their_first_day_until_they_expire(tmp_path: Path) -> None:
    pins = read_pins(write(tmp_path))
    sides = pinned_sides(pins, ["acme|visit", "other", "acme|buy"], to_day(date(2026, 3, 1)), 5)
    np.testing.assert_array_equal(
        sides, [[-1, 1, 1, -1, -1], [-1, -1, -1, -1, -1], [0, 0, -1, -1, -1]]
    )
    assert [pin.holds(to_day(date(2026, 3, 3))) for pin in pins] == [False, True]


def test_pins_outside_the_calendar(tmp_path: Path) -> None:
    pins = read_pins(write(tmp_path))
    late = pinned_sides(pins, ["acme|visit", "acme|buy"], to_day(date(2026, 4, 1)), 2)
    early = pinned_sides(pins, ["acme|visit", "acme|buy"], to_day(date(2026, 2, 1)), 2)
    assert late.tolist() == [[-1, -1], [-1, -1]]
    assert early.tolist() == [[-1, -1], [0, 0]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("side: soft", "side: warm", r"pins.0.side: Input should be 'hard' or 'soft' .*warm"),
        ("    expires: 2026-03-03\n", "", r"pins.0.expires: Field required"),
        ("expires: 2026-03-04", "expires: soon", r"pins.1.expires: .*\(seen: 'soon'\)"),
        ("reviewed_by: j.doe", "reviewed_by: ' '", r"pins.0.reviewed_by: .*at least 1 char"),
        ("    reason: refunds\n", "", r"pins.1.reason: Field required"),
        ("acme|visit", "acme|buy", r"setup 'acme\|buy' is pinned twice before 2026-03-03"),
        (
            "since: 2026-03-02",
            "since: 2026-03-04",
            r"pins.1: expires 2026-03-04 is not after since",
        ),
        ("    side: soft", "    side: soft\n    colour: red", r"pins.0.colour: unknown key"),
        ("pins:", "pinned:", r"pins: Field required"),
        ("pins:", "pins: [", r"not YAML: while parsing"),
        (FILE, "", r"Input should be a valid dictionary"),
    ],
)
def test_broken_files(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, FILE.replace(old, new, 1))
    with pytest.raises(InputError, match=rf"pins.yaml: {message}") as caught:
        read_pins(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"pins_file: .*none.yaml: No such file.*; wanted a YAML list"
    ):
        read_pins(tmp_path / "none.yaml")


def test_one_setup_may_be_pinned_again_later(tmp_path: Path) -> None:
    again = FILE.replace("acme|visit", "acme|buy").replace("2026-03-02", "2026-03-03")
    sides = pinned_sides(
        read_pins(write(tmp_path, again)), ["acme|buy"], to_day(date(2026, 3, 2)), 3
    )
    assert sides.tolist() == [[0, 1, -1]]


def test_settings_take_the_file_in(tmp_path: Path) -> None:
    path = write(tmp_path)
    inline = Pin(setup="z|z", side="hard", reviewed_by="x", reason="y", expires=date(2026, 1, 1))
    settings = with_pins(LabellingSettings(pins_file=str(path), pins=(inline,)), SETUP)
    assert settings.pins_file is None
    assert [pin.setup for pin in settings.pins] == ["z|z", "acme|buy", "acme|visit"]
    assert LabellingSettings.model_validate_json(settings.model_dump_json()) == settings
    assert with_pins(settings, SETUP) is settings


def test_a_setup_pinned_in_both_places_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    inline = read_pins(path)[:1]
    with pytest.raises(InputError, match=r"pinned twice.*here and in labelling.pins"):
        with_pins(LabellingSettings(pins_file=str(path), pins=inline), SETUP)


def test_pins_of_what_is_no_setup_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, FILE.replace("acme|visit", "acme"))
    wanted = r"pins: setup 'acme' has 1 of 2 values; wanted shop\|goal"
    with pytest.raises(InputError, match=wanted):
        with_pins(LabellingSettings(pins_file=str(path)), SETUP)
    inline = read_pins(path)
    with pytest.raises(InputError, match=wanted):
        with_pins(LabellingSettings(pins=inline), SETUP)
