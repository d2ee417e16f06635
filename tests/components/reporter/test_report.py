"""The page: parsed back, compared with what went in, and searched for ways out."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from common.files.atomic import run_folder, write_files
from common.runs.info import RunInfo
from common.versions.manifest import Manifest
from components.reporter import report, sections
from components.reporter.inputs import RunFiles, read_run_files
from components.reporter.report import render_report, run_manifest
from components.reporter.summary import MODELS
from schemas.errors import InputError

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
NOW = datetime(2026, 2, 1, 3, 4, 5, tzinfo=UTC)
CONFIG = {"name": "shop", "labelling": {"alpha": 0.01, "pins": {"a|<b>": "hard"}}}
RUN = RunInfo(
    run_id="2026-02-01-a",
    seed=11,
    as_of="2026-02-01",
    contract="shop",
    code_version="0.1.0+abc",
    command="hardtower run --config shop.yaml --set 'name=\"<i>\"'",
    config=CONFIG,
)
SECTIONS = {
    "verdict",
    "conditions",
    "models",
    "data",
    "validation",
    "assignment",
    "drift",
    "slices",
    "calibration",
    "training",
    "push",
    "provenance",
}
PLOTS = (
    "assignment_by_day",
    "calibration_curve",
    "cvr_changes",
    "cvr_distribution",
    "feature_distances",
    "flips_by_day",
    "gradient_conflict",
    "intervals",
    "loss_curves",
)
FIGURES = 1 + 1 + 2 + 4 + 3 + 2 + 1 + 2 + 2 + 2
"""Each other model, the system, calibration and level, slices, CVRs and two by day, flips, moves,
features, loss and gradients."""

VOID = {"meta", "path", "use", "rect", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Elements, attributes, and the text of table cells by section and caption."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.sections: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self.styles = ""
        self._open: list[str] = []
        self._caption: str | None = None
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self.sections.append(dict(attrs)["id"] or "")
        elif tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self.tables[self._caption or ""].append([])
        elif tag in ("td", "th"):
            self.tables[self._caption or ""][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self.text += "" if tag in ("b", "code") else " "
        if tag == "caption":
            self.tables[self._caption or ""] = []

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.styles += data
            return
        self.text += data
        if "caption" in self._open:
            self._caption = (self._caption or "") + data
        elif {"td", "th"} & set(self._open):
            self.tables[self._caption or ""][-1][-1] += data

    def rows(self, caption: str) -> list[dict[str, str]]:
        head, *body = self.tables[caption]
        return [dict(zip(head, map(str.strip, row), strict=True)) for row in body]

    def plain(self) -> str:
        return " ".join(self.text.split())


def read(root: Path) -> RunFiles:
    return read_run_files(
        root / "evaluation",
        root / "task_assignments",
        {"candidate": root / "candidate", "one_task": root / "one_task"},
        root / "pushed",
        root / "gate",
        root / "ingest",
        root / "last_blessed",
    )


def render(files: RunFiles, run: RunInfo = RUN) -> str:
    return render_report(files, run, run_manifest(files, run, NOW), NOW)


@pytest.fixture(scope="module")
def html(whole_run: Path) -> str:
    return render(read(whole_run))


@pytest.fixture
def quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures that cost nothing, where the test is not about them."""
    for name in PLOTS:
        monkeypatch.setattr(
            report, name, lambda *data, **how: f"<svg><title>{len(data)}</title></svg>"
        )


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_section_is_there(html: str) -> None:
    page = Page(html)
    assert set(page.sections) == SECTIONS
    assert html.count('<figure class="plot">') == FIGURES
    targets = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert targets == {f"#{name}" for name in SECTIONS - {"verdict"}}


def test_nothing_is_fetched_and_nothing_runs(html: str) -> None:
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster"):
            assert value.startswith("#"), (tag, name, value)
        assert not re.search(r"url\((?!#)", value), (tag, name, value)
    assert "url(" not in page.styles
    assert "@import" not in page.styles


def test_names_from_the_data_are_text(html: str, whole_run: Path) -> None:
    """The hostile setup id and slice come out as they went in."""
    injection = pq.read_table(whole_run / "task_assignments" / "assignments.parquet")["setup_id"][1]
    page = Page(html)
    assert injection.as_py().startswith("<script>")
    restless = page.rows("Setups that changed side most often")
    assert [(r["Setup"], r["Changes"], r["Now"], r["Historical CVR"]) for r in restless] == [
        (injection.as_py(), "2", "hard", "0.77%"),
        ("once", "1", "hard", "0.5%"),
    ]
    slices = {row["Slice"] for row in page.rows("Every slice and model of the eval period")}
    assert f"task=hard&setup_category={injection}" in slices
    assert RUN.command in page.text
    assert "<script" not in html


def test_the_first_screen_tells_it_all(html: str) -> None:
    text = Page(html).plain()
    first = text[: text.index("Conditions Models Calibration")]
    for wanted in (
        "Blessed and pushed as version 1770000000",
        "blessed: all 7 conditions hold; better than the logistic regression",
        "0.0912[0.0812, 0.1112] RIG on hard examples",
        "0.7344[0.7244, 0.7544] AUC on hard examples",
        "1.038[1.028, 1.058] predicted over observed conversions",
        "+0.0075[+0.0021, +0.0133] RIG minus that of one task for all",
        "130conversions in 12,000 hard examples",
        "one task for all +0.0075 [+0.0021, +0.0133] logistic regression +0.0075",
        "The system as served",
        # Trained to 14 January, as of 1 February.
        "Newest click that was trained on: 2026-01-14, 18 days before the as-of day.",
    ):
        assert wanted in first, wanted


def test_the_system_as_served_stands_beside_one_task(html: str) -> None:
    caption = "On all 20,000 examples with 900 conversions, by each day's routing table"
    rows = {row[""]: row for row in Page(html).rows(caption)}
    # RIG of .0917 and .0837, .11 more on all; no AUC or level was compared.
    assert rows["RIG"] == {
        "": "RIG",
        "As served": "0.2017 [0.1917, 0.2217]",
        "One task for all": "0.1937 [0.1837, 0.2137]",
        "Difference": "+0.0075 [+0.0021, +0.0133]",
    }
    assert rows["Predicted over observed"]["Difference"] == ""


def test_the_age_is_that_of_the_served_fit_where_there_is_one(run_root: Path) -> None:
    manifest = run_manifest(read(run_root), RUN, NOW)
    files = replace(read(run_root), manifest={"served_fit": {"newest_trained_day": "2026-01-31"}})
    key = sections.key_figures(files, manifest, [])
    assert (key.newest_trained_day, key.age_days) == ("2026-01-31", 1)


def test_conditions_that_failed_are_open_and_those_that_passed_folded(html: str) -> None:
    page = Page(html)
    failed, passed = page.rows("1 condition failed"), page.rows("1 condition passed")
    assert [(c["Condition"], c[""], c["Value"]) for c in failed + passed] == [
        ("slice rig change", "failed", "0.7344"),
        ("hard auc floor", "passed", "0.7344"),
    ]
    before = html[: html.index("1 condition passed</caption>")]
    assert before.count("<details>") == before.count("</details>") + 1
    before = html[: html.index("1 condition failed</caption>")]
    assert before.count("<details>") == before.count("</details>")


def test_metrics_are_those_of_the_evaluator(html: str, whole_run: Path) -> None:
    records = load(whole_run / "evaluation" / "metrics.json")
    values = {(r["slice"], r["model"], r["metric"]): r["value"] for r in records}
    shown = {
        (row["Slice"], row["Model"]): row
        for row in Page(html).rows("Every slice and model of the eval period")
    }
    columns = {
        "rig": ("RIG", 4),
        "auc": ("AUC", 4),
        "auc_precision_recall": ("PR-AUC", 4),
        "log_loss": ("Log loss", 5),
        "calibration": ("Calibration", 3),
    }
    seen = 0
    for (name, model, metric), value in values.items():
        row = shown.get((name, MODELS[model]))
        hard = "task=hard" in name.split("&")
        # The hard tower serves hard examples alone, the system as a whole serves the rest.
        wanted = {"candidate": hard, "last_blessed": hard, "as_served": not hard}.get(model, True)
        assert (row is not None) is wanted, (name, model)
        if row is not None:
            column, places = columns[metric]
            assert row[column] == (DASH if value is None else f"{value:.{places}f}")
            seen += 1
    # Four of seven slices are hard ones, with five models; the others have four.
    assert seen == (4 * 5 + 3 * 4) * len(columns)


def test_each_model_stands_on_the_examples_that_it_is_judged_by(html: str) -> None:
    rows = Page(html).rows("Models on the eval period")
    assert [(r["Model"], r["On"]) for r in rows] == [
        *((m, "12,000 hard 130 conversions") for m in ("candidate", "one-task", "last blessed")),
        *((m, "12,000 hard 130 conversions") for m in ("logistic regression", "historical CVR")),
        *((m, "20,000 all 900 conversions") for m in ("as served", "one-task")),
    ]
    assert rows[0]["RIG"] == "0.0912 [0.0812, 0.1112]"
    assert rows[0]["RIG of the first minus this"] == ""
    assert rows[1]["RIG of the first minus this"] == "+0.0075 [+0.0021, +0.0133]"
    assert rows[2]["RIG of the first minus this"] == "+0.0075"


def test_slices_are_drawn_with_their_intervals(html: str) -> None:
    labels = [value for _, name, value in Page(html).attributes if name == "aria-label"]
    title = "The candidate minus one task for all"
    assert f"{title}: all hard examples: +0.0075 [+0.0021, +0.0133]" in labels
    assert f"{title}: category buy: +0.0075 [+0.0021, +0.0133]" in labels
    # An end is missing there.
    assert "The candidate minus the last blessed model: category buy: +0.0075" in labels
    assert not any("category" in label and title in label for label in labels[:3])


def test_data_validation_assignment_and_push(html: str) -> None:
    page = Page(html)
    text = page.plain()
    splits = page.rows("Consecutive periods by click time")
    assert [(s["Split"], s["First day"]) for s in splits] == [
        ("train", "2026-01-01"),
        ("eval", "2026-01-22"),
    ]
    # 2345 / 51234 = 4.577%, 311 / 30123 = 1.032%
    assert (splits[0]["CVR"], splits[0]["Hard CVR"]) == ("4.58%", "1.03%")
    assert "4,567 clicks are in no split" in text
    assert "105,678 rows from 2026-01-01 to 2026-01-31; 34 refused, 12 outside" in text
    assert page.rows("Findings")[0]["Feature"] == "device"
    assert "CVR is at most 1%; the routing table uses 0.9%" in text
    # 0.0002 * 1.12^i <= 0.009 for i <= 33, and the one without conversions: 35 of 61
    assert "Routing table: 35 setups hard, 26 setups soft." in text
    assert "42 changes of side among 71 setups; 630 clicks (1%)" in text
    assert "is wrong on 164 (8.2%); the rule of this run on 38 (1.9%)" in text
    assert "none of the 2 soft variables" in text
    assert "256 eval examples" in text
    assert "at most 1.2e-08" in text
    graphs = page.rows("The two graphs")
    assert [(g["Graph"], g["Variables"], g["Size"]) for g in graphs] == [
        ("serving", "14", "1.54 MB"),
        ("full", "20", "1.54 MB"),
    ]
    assert page.rows("Training runs")[0]["Seconds"] == "21.8"


def test_calibration_and_gradients_of_the_training(html: str) -> None:
    page = Page(html)
    calibrated = page.rows("Calibration inside the graph")
    assert [row["Model"] for row in calibrated] == ["candidate", "one-task"]
    assert list(calibrated[0].values())[1:] == [
        "platt",
        "4,321",
        "57",
        "0.07120",
        "0.06980",
        "1.310",
        "1.000",
        "0.00410",
        "0.00120",
    ]
    # Cosines .4, .3, ... -.3 of the tables; a layer without a direction at two looks of eight.
    assert [list(row.values()) for row in page.rows("The candidate's shared layers")] == [
        ["embedding", "+0.050", "-0.300", "3", "8", "0.850"],
        ["cross_0", "+0.250", "+0.250", "0", "6", DASH],
        ["all shared weights", "-0.125", "-0.125", "8", "8", "2.000"],
    ]


def test_a_training_without_calibration_or_gradients_has_neither_part(run_root: Path) -> None:
    for model in ("candidate", "one_task"):
        log, history = (run_root / model / name for name in ("training.json", "history.json"))
        log.write_text(json.dumps(load(log) | {"calibration": None}), encoding="utf-8")
        looks = [
            {key: value for key, value in look.items() if not key.startswith("gradient")}
            for look in load(history)
        ]
        history.write_text(json.dumps(looks), encoding="utf-8")
    html = render(read(run_root))
    page = Page(html)
    assert html.count('<figure class="plot">') == FIGURES - 2
    assert "Training runs" in page.tables
    assert "Calibration inside the graph" not in page.tables
    assert "Negative transfer" not in page.text


def test_drift_since_the_last_pushed_version(html: str, whole_run: Path) -> None:
    """Of 61 setups now and 60 then, s3 and s50 changed sides, s59 and s60 are new, one is gone."""
    page = Page(html)
    text = page.plain()
    assert "Version 41 served when this run began." in text
    # 2 and 2 setups of 61, 100 clicks each: 200 / 6100 = 3.28%
    assert "Setups that changed task: 2, with 3.28% of the observed clicks;" in text
    assert "new: 2, with 3.28%; gone: 1." in text
    moves = page.rows("Routing table against the last pushed one")
    assert [(m["Before"], m["Now"], m["Setups"], m["Observed clicks"]) for m in moves] == [
        ("hard", "soft", "1", "100"),
        ("soft", "hard", "1", "100"),
        ("new", "hard", "1", "100"),
        ("new", "soft", "1", "100"),
        ("soft", "gone", "1", "50"),
        ("hard", "hard", "33", "3,300"),
        ("soft", "soft", "24", "2,400"),
    ]
    moved = page.rows("Setups that changed task")
    # 0.0002 * 1.12^3 = 0.000281 and 0.0002 * 1.12^50 = 0.0578
    assert [(s["Setup"], s["CVR before"], s["CVR now"]) for s in moved] == [
        ("s3", "2%", "0.0281%"),
        ("s50", "0.4%", "5.78%"),
    ]
    distances = page.rows("All 3 distances of features")
    assert [(d["Feature"], d["Distance"], d[""]) for d in distances][:2] == [
        ("device", "0.3100", "above"),
        ("recency", "0.0200", ""),
    ]


def test_miscalls_and_the_weight_of_the_prior(html: str) -> None:
    page = Page(html)
    rules = page.rows("Treatments of young clicks, with hindsight")
    assert [(r["Treatment"], r["Wrong"], r["Share"], r["Wrongly hard"]) for r in rules] == [
        ("naive", "164", "8.2%", "150"),
        ("mature", "60", "3%", "20"),
        ("this run", "38", "1.9%", DASH),
    ]
    prior = page.rows("Clicks that the prior counts for on the as-of day")
    assert [(p["Category"], p["Clicks"]) for p in prior] == [("buy", "300.0"), ("(none)", "12.2")]


def test_provenance_and_config(html: str) -> None:
    page = Page(html)
    for wanted in ("Seed 11", "Code 0.1.0+abc", "As of 2026-02-01", "00ffa1b2c3d4e5f6"):
        assert wanted in page.plain()
    config = page.text[page.text.index("name: shop") : page.text.rindex("hardtower")]
    assert yaml.safe_load(config) == CONFIG


@pytest.mark.parametrize(
    ("verdict", "push", "tone", "title"),
    [
        (None, None, "open", "This run has no verdict"),
        ({"blessed": False}, None, "bad", "Not blessed: nothing was pushed"),
        ({"blessed": True}, None, "good", "Blessed"),
        (
            {"blessed": True},
            {"pushed": False, "reason": "version 3 already serves this model"},
            "good",
            "Blessed; version 3 already serves this model",
        ),
        (
            {"blessed": True},
            {"pushed": True, "version": 4},
            "good",
            "Blessed and pushed as version 4",
        ),
    ],
)
def test_headlines(verdict: Any, push: Any, tone: str, title: str) -> None:
    found = sections.headline(verdict, push)
    assert (found.tone, found.title) == (tone, title)


def test_a_run_without_artifacts_still_has_a_page() -> None:
    page = Page(render(RunFiles(), RunInfo()))
    assert set(page.sections) == SECTIONS
    assert "svg" not in page.tags
    assert page.tables == {}


PARTS = (
    "evaluation",
    "task_assignments",
    "candidate",
    "one_task",
    "pushed",
    "gate",
    "ingest",
    "last_blessed",
)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.usefixtures("quick_figures")
def test_any_artifact_may_be_missing(run_root: Path, part: str) -> None:
    shutil.rmtree(run_root / part)
    assert set(Page(render(read(run_root))).sections) == SECTIONS


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.usefixtures("quick_figures")
def test_any_artifact_may_come_alone(run_root: Path, part: str) -> None:
    for other in set(PARTS) - {part}:
        shutil.rmtree(run_root / other)
    assert set(Page(render(read(run_root))).sections) == SECTIONS


@pytest.mark.usefixtures("quick_figures")
def test_a_model_that_is_not_blessed_is_told_so(run_root: Path) -> None:
    verdict = {"blessed": False, "summary": "not blessed: rig fell", "baseline": None}
    (run_root / "evaluation" / "verdict.json").write_text(json.dumps(verdict))
    push = load(run_root / "pushed" / "push.json")
    push |= {"pushed": False, "version": None, "path": None, "pruning": None}
    push["reason"] = "not blessed: rig fell"
    (run_root / "pushed" / "push.json").write_text(json.dumps(push))
    text = Page(render(read(run_root))).plain()
    # A verdict of an earlier version has no headline.
    assert "Not blessed: nothing was pushed not blessed: rig fell" in text
    assert "There was no last blessed model to compare with." in text
    assert "Outcome not pushed: not blessed: rig fell" in text
    assert "Proof of pruning" not in text


@pytest.mark.usefixtures("quick_figures")
def test_the_pushers_manifest_is_kept(run_root: Path) -> None:
    files = read(run_root)
    built = run_manifest(files, RUN, NOW)
    assert (built.version, built.assignment_id) == (None, "00ffa1b2c3d4e5f6")
    assert built.metrics["one_task"]["auc"] == 0.7291
    pushed = built.model_copy(update={"version": 7, "model_digest": "sha256:beef"})
    (run_root / "pushed" / "manifest.json").write_text(pushed.model_dump_json())
    assert run_manifest(read(run_root), RUN, NOW) == pushed
    assert isinstance(pushed, Manifest)


FIT = {
    "first_day": "2026-01-01",
    "last_day": "2026-01-14",
    "newest_trained_day": "2026-01-14",
    "calibration_first_day": "2026-01-15",
    "calibration_last_day": "2026-01-21",
    "labels_as_of": "2026-01-22",
    "examples": 51234,
    "positives": 2222,
    "hard_examples": 30123,
    "hard_positives": 299,
    "model_digest": "sha256:beef",
    "one_task_digest": "sha256:cafe",
}
SERVED = FIT | {"last_day": "2026-01-31", "newest_trained_day": "2026-01-31", "examples": 99999}


def with_fits(root: Path, judged: dict[str, Any], served: dict[str, Any] | None) -> Page:
    """The page of the run with these fits in the pusher's manifest."""
    manifest = json.loads(run_manifest(read(root), RUN, NOW).model_dump_json())
    manifest |= {"judged_fit": judged, "served_fit": served}
    (root / "pushed" / "manifest.json").write_text(json.dumps(manifest))
    return Page(render(read(root)))


def test_both_fits_and_their_age(run_root: Path) -> None:
    """As of 2026-02-01."""
    page = with_fits(run_root, FIT, SERVED)
    rows = page.rows("What was learned from")
    assert [(r["Fit"], r["Newest click"], r["Days old"], r["Examples"]) for r in rows] == [
        ("judged", "2026-01-14", "18", "51,234"),
        ("served", "2026-01-31", "1", "99,999"),
    ]
    assert rows[0]["Hard conversions"] == "299"
    assert rows[0]["Labels as of"] == "2026-01-22"


def test_a_log_without_conversion_times_says_how_old_the_model_is(run_root: Path) -> None:
    page = with_fits(run_root, FIT, FIT)
    (row,) = page.rows("What was learned from")
    assert row["Fit"] == "judged and served"
    assert "The log has no conversion times" in page.plain()
    assert "the newest trained click is 18 days old" in page.plain()
    splits = json.loads((run_root / "task_assignments" / "splits.json").read_text())
    splits["recent"] = splits["eval"] | {"first_day": "2026-01-29"}
    (run_root / "task_assignments" / "splits.json").write_text(json.dumps(splits))
    assert "no conversion times" not in with_fits(run_root, FIT, FIT).plain()


def test_checks_of_the_refit_are_lines_of_the_verdict(run_root: Path) -> None:
    file = run_root / "pushed" / "push.json"
    push = json.loads(file.read_text())
    checks = [
        {
            "name": "level_hard",
            "passed": True,
            "wanted": "0.80 .. 1.25",
            "detail": "1.02 [0.9, 1.1]",
        },
        {"name": "distance", "passed": True, "wanted": "close", "detail": "log-odds 0.3"},
    ]
    file.write_text(json.dumps(push | {"checks": checks}))
    page = with_fits(run_root, FIT, SERVED)
    found = [list(row.values()) for row in page.rows("Checks of the refit")]
    assert found == [
        ["level hard", "passed", "0.80 .. 1.25", "1.02 [0.9, 1.1]"],
        ["distance", "passed", "close", "log-odds 0.3"],
    ]
    checks[1]["passed"] = False
    failed = {"pushed": False, "version": None, "reason": "the refit failed distance"}
    file.write_text(json.dumps(push | failed | {"checks": checks}))
    text = with_fits(run_root, FIT, None).plain()
    assert "Blessed, but the refit failed: nothing was pushed" in text
    assert "the refit failed distance" in text


def test_hard_examples_that_were_soft_are_told(run_root: Path) -> None:
    file = run_root / "task_assignments" / "stability.json"
    stability = json.loads(file.read_text())
    assert "before they had shown it" not in Page(render(read(run_root))).plain()
    doubtful = {"examples": 1200, "setups": 7, "hard_examples": 24000}
    file.write_text(json.dumps(stability | {"doubtful_hard": doubtful}))
    text = Page(render(read(run_root))).plain()
    assert "1,200 of 24,000 hard examples that are trained on (5%) are of 7 setups whose" in text
    file.write_text(json.dumps(stability | {"doubtful_hard": doubtful | {"setups": 1}}))
    assert "(5%) are of 1 setup whose" in Page(render(read(run_root))).plain()


def test_the_same_run_gives_the_same_page(html: str, run_root: Path) -> None:
    assert render(read(run_root)) == html


def test_long_slice_names_are_cut() -> None:
    assert sections.short_name("task=hard&setup_category=buy") == "category buy"
    assert sections.short_name("task=soft&setup_category=buy") == "soft, category buy"
    assert sections.short_name("setup_category=") == "category (none)"
    assert sections.short_name("all") == "all"
    assert sections.short_name("a=" + "b" * 99) == "a " + "b" * 31 + "…"


def test_only_the_largest_hard_slices_are_plotted() -> None:
    def record(name: str, examples: int, **changes: Any) -> dict[str, Any]:
        found = {"model": "candidate", "other": "one_task", "slice": name, "metric": "rig"}
        counts = {"examples": examples, "positives": 7}
        return found | counts | {"estimate": 0.1, "low": 0.0, "high": None} | changes

    many = [record(f"task=hard&ad={i}", 100 + i) for i in range(40)]
    whole = [record("all", 999), record("task=soft", 999), record("task=hard", 9)]
    others = [record("task=hard&ad=0", 999, metric="log_loss")]
    others += [record("task=hard&ad=0", 999, other="logistic")]
    others += [record("task=hard&ad=0", 999, model="as_served")]
    lines = sections.slice_lines(whole + others + many, "one_task")
    assert [line.name for line in lines] == [
        "all hard examples",
        *(f"ad {i}" for i in range(25, 40)),
    ]
    assert (lines[0].estimate, lines[0].low, lines[0].high) == (0.1, 0.0, None)
    assert lines[0].note == "7 conversions"


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "2026-02-01-a")
    assert folder == tmp_path / "runs" / "2026-02-01-a"
    write_files(folder, {"report.html": "old", "metrics.json": "[]"})
    (folder / "run.log").write_text("kept")
    write_files(folder, {"report.html": "new"})
    assert {p.name: p.read_text() for p in folder.iterdir()} == {
        "report.html": "new",
        "metrics.json": "[]",
        "run.log": "kept",
    }


@pytest.mark.parametrize("run_id", ["", "..", "../x", "a/b", ".hidden", "a b"])
def test_a_run_id_that_leaves_the_folder_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(InputError, match="run_id"):
        run_folder(tmp_path, run_id)
