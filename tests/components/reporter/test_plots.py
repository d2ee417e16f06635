"""Figures: well formed, readable without sight or colour, the same each time."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import pytest

from common.pages.svg import BLUE
from components.reporter.gradients import LayerGradients
from components.reporter.plots import (
    CalibrationPoint,
    assignment_by_day,
    calibration_curve,
    cvr_changes,
    cvr_distribution,
    feature_distances,
    flips_by_day,
    gradient_conflict,
    loss_curves,
)

DAYS = [
    {
        "day": (date(2026, 1, 1) + timedelta(i)).isoformat(),
        "hard_setups": 3 + i,
        "soft_setups": 9 - i,
        "hard_clicks": 300,
        "soft_clicks": 900,
        "flips": i % 2,
        "churned_clicks": 120 * (i % 2),
    }
    for i in range(9)
]
CURVES = {
    "candidate": [CalibrationPoint(0.001 * 2**i, 0.0011 * 2**i, 0.0, 0.1) for i in range(5)],
    "one_task": [CalibrationPoint(0.001, 0.0, 0.0, 0.001)],
}
LOOKS = [
    {"epoch": i / 2, "train_loss_hard": 0.1 / (i + 1), "calibration_log_loss_hard": None}
    for i in range(4)
]
LAYERS = [
    LayerGradients(
        name, [(i, (-0.5) ** i) for i in range(1, 5)], [(i, 2.0**i) for i in range(1, 4)]
    )
    for name in ("embedding", *(f"expert_{i}/<cross>_0" for i in range(18)), "all")
]
FIGURES: dict[str, Callable[[], str]] = {
    "assignment": lambda: assignment_by_day(DAYS),
    "one day": lambda: assignment_by_day(DAYS[:1]),
    "flips": lambda: flips_by_day(DAYS),
    "no flips": lambda: flips_by_day(DAYS[:1]),
    "cvr": lambda: cvr_distribution([0.0, 0.002, 0.01, 0.5, 1.0], 0.01, 0.009),
    "one cvr": lambda: cvr_distribution([0.01], 0.01, 0.01),
    "calibration": lambda: calibration_curve(CURVES),
    "calibration without conversions": lambda: calibration_curve({"one_task": CURVES["one_task"]}),
    "drift": lambda: feature_distances(DISTANCES, "drift", "Features"),
    "skew": lambda: feature_distances(DISTANCES, "skew", "Features"),
    "moves": lambda: cvr_changes([(0.01, 0.02, True), (0.0, 0.001, False)], 0.009),
    "one setup": lambda: cvr_changes([(0.0, 0.0, False)]),
    "gradients": lambda: gradient_conflict(LAYERS),
    "one gradient": lambda: gradient_conflict([LayerGradients("all", [(7, -1.0)], [])]),
    "loss": lambda: loss_curves({"candidate": LOOKS, "one_task": LOOKS[:1]}),
}

DISTANCES = [
    {"kind": "drift", "feature": f"<f{i}> $x$", "value": 0.02 * i, "threshold": 0.25}
    for i in range(20)
] + [{"kind": "skew", "feature": "device", "value": 0.0, "threshold": 0.25}]

SVG = "{http://www.w3.org/2000/svg}"


@cache
def drawn(name: str) -> str:
    return FIGURES[name]()


def parse(drawn: str) -> ET.Element:
    """All figures of a plot under one element."""
    spaced = drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return ET.fromstring(f"<div>{spaced}</div>")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_title_a_unit_and_a_description(name: str) -> None:
    figures = parse(drawn(name)).findall("figure")
    assert figures
    for figure in figures:
        caption, root = figure
        assert caption.tag == "figcaption"
        assert all(part.text for part in caption)
        assert [part.tag for part in caption] == ["b", "span"]
        title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None
        assert title.text
        assert description is not None
        assert description.text
        assert root.get("role") == "img"
        assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert root.find(f".//{SVG}style") is None


@pytest.mark.parametrize("name", FIGURES)
def test_references_stay_inside_the_figure(name: str) -> None:
    for svg in drawn(name).split("</figure>")[:-1]:
        prefix = re.search(r'id="([a-z-]+)-title"', svg)
        assert prefix is not None
        ids = re.findall(r'\bid="([^"]*)"', svg)
        assert all(found.startswith(f"{prefix[1]}-") for found in ids)
        used = re.findall(r'href="([^"]*)"', svg) + re.findall(r"url\(([^)]*)\)", svg)
        assert {reference.removeprefix("#") for reference in used} <= set(ids)


def test_no_two_figures_share_an_id() -> None:
    ids = [
        i
        for name in ("assignment", "flips", "loss", "gradients", "cvr", "moves", "drift")
        for i in re.findall(r'\bid="([^"]*)"', drawn(name))
    ]
    assert len(ids) == len(set(ids))


def test_the_same_data_give_the_same_bytes_in_another_process() -> None:
    script = (
        "from components.reporter.plots import cvr_distribution\n"
        "print(cvr_distribution([0.002, 0.02], 0.01, 0.009), end='')"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert other == cvr_distribution([0.002, 0.02], 0.01, 0.009)


def test_the_farthest_features_are_shown_and_stand_out() -> None:
    """Of 20 features at .02 i with a threshold of .25, seven are above it; 15 fit."""
    svg = drawn("drift")
    labels = [element.text for element in parse(svg).iter(f"{SVG}text")]
    assert {f"<f{i}> $x$" for i in range(5, 20)} <= set(labels)
    assert "<f4> $x$" not in labels
    assert len(bar_heights(svg, "--vermilion")) == 7
    assert len(bar_heights(svg, "--blue")) == 8


def bar_heights(svg: str, variable: str) -> list[float]:
    """Heights of the bars drawn in a colour."""
    heights = []
    for path in parse(svg).iter(f"{SVG}path"):
        if f"fill: var({variable}" in path.get("style", ""):
            ys = [float(y) for y in re.findall(r"[ML] \S+ (\S+)", path.get("d", ""))]
            heights.append(max(ys) - min(ys))
    return heights


@pytest.mark.parametrize("alpha", [0.01, 0.0123, 0.3])
def test_setups_at_alpha_are_drawn_as_hard(alpha: float) -> None:
    """Hard is CVR <= alpha (paper, section 3.1.2)."""
    svg = cvr_distribution([alpha] * 3, alpha, alpha)
    assert max(bar_heights(svg, "--blue")) > 0
    assert max(bar_heights(svg, "--orange"), default=0) == 0


def test_the_distribution_is_described_by_its_counts() -> None:
    description = parse(cvr_distribution([0.001, 0.01, 0.02], 0.01, 0.008)).find(f".//{SVG}desc")
    assert description is not None
    assert description.text == (
        "3 setups, 2 with a historical CVR of at most 1%; the routing table's threshold is 0.8%."
    )


def test_thresholds_are_named() -> None:
    svg = cvr_distribution([0.001, 0.02], 0.01, 0.0085)
    labels = [element.text or "" for element in parse(svg).iter(f"{SVG}text")]
    assert any("alpha 1%" in label for label in labels)
    assert any("online alpha 0.85%" in label for label in labels)


def test_every_layer_is_named_once() -> None:
    labels = [element.text for element in parse(drawn("gradients")).iter(f"{SVG}text")]
    # Once a figure.
    for layer in LAYERS:
        assert labels.count(layer.layer) == 2
    assert {"1", "3"} <= set(labels)
    assert not any("$" in (label or "") for label in labels)


def test_every_model_has_its_own_colour_and_the_page_may_change_it() -> None:
    svg = drawn("calibration")
    assert f"var(--blue, {BLUE})" in svg
    assert "--vermilion" not in svg


def test_flips_are_described_by_their_sum_and_most() -> None:
    description = parse(flips_by_day(DAYS)).find(f".//{SVG}desc")
    assert description is not None
    assert description.text == "4 flips over 9 days, at most 1 on one day."
