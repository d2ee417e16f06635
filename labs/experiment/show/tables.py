"""An experiment's figures as tables of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from common.pages.page import Table
from common.pages.text import counted
from common.statistics.bootstrap import Estimate
from labs.experiment.judging.results import (
    AUC,
    CALIBRATION,
    EXPECTED_AUC,
    EXPECTED_RIG,
    RECALIBRATED,
    RIG,
    Figure,
    JudgedClaim,
    SetResults,
)
from schemas.labelled import EVAL, TRAIN

METRICS: Mapping[str, tuple[str, str]] = {
    EXPECTED_RIG: (
        "expected RIG",
        "expectation over conversions by the true probabilities: 1 - E[log loss] / H(mean true "
        "probability)",
    ),
    RIG: ("RIG", "on the sampled labels (paper, equation 2)"),
    EXPECTED_AUC: (
        "expected AUC",
        "expectation over conversions by the true probabilities: expected pairs of a conversion "
        "and another click in order, over expected pairs",
    ),
    AUC: ("AUC", "on the sampled labels"),
    RECALIBRATED: (
        "RIG after Platt scaling",
        "on the sampled labels, each network's served tower scaled on the hard calibration "
        "examples: what is left when a wrong level and slope are mended",
    ),
}
"""Name and meaning of each metric, in the order of the report."""

OTHER_DATA = "paper (other data)"


def figures(of_set: SetResults) -> Table:
    """Every metric of every arm: mean over seeds, and their standard deviation."""
    columns = [m for m in (*METRICS, CALIBRATION) if any(m in a for a in of_set.arms.values())]
    level = "true level" if of_set.oracle else "level"
    head = ["arm", *(f"#{METRICS[m][0] if m in METRICS else m}" for m in columns), f"#{level}"]
    rows = [
        [arm, *(_with_spread(values.get(m), m) for m in columns), _within(of_set.levels[arm])]
        for arm, values in of_set.arms.items()
    ]
    if of_set.oracle:
        oracle = [number(of_set.oracle[m], m) if m in of_set.oracle else "" for m in columns]
        oracle.append("1.000")
        rows.append(["true probabilities (ceiling)", *oracle])
    caption = (
        f"{of_set.what}: {counted(of_set.examples, 'example')}, "
        f"{counted(of_set.positives, 'conversion')}, {counted(of_set.setups, 'setup')}; "
        f"mean over seeds ± their standard deviation; {level}: "
        f"mean prediction over mean {'true probability' if of_set.oracle else 'label'}, with its "
        "interval"
    )
    return Table(caption, head, rows)


def overview(sets: Sequence[SetResults], confidence: float) -> Table:
    """Each claim on each set of examples, by the metric that says most."""
    metric = EXPECTED_RIG if sets[0].oracle else RIG
    rows = [
        [
            one.name.replace("_", " "),
            f"{one.positives:,}",
            finding.claim.arm,
            finding.claim.against,
            number(one.arms[finding.claim.arm][metric].value, metric),
            signed(finding.difference.estimate, metric),
            interval(finding, metric),
            _within(one.levels[finding.claim.arm]),
        ]
        for one in sets
        for finding in one.findings
        if finding.metric == metric
    ]
    name = METRICS[metric][0]
    head = ["examples", "#conversions", "arm", "against", f"#{name}", "#difference"]
    head += [f"#{confidence:.0%} interval", "#level of the arm"]
    return Table(f"{name} on all sets of examples", head, rows)


def claims(of_set: SetResults, confidence: float) -> list[Table]:
    """A table a metric: each claim's difference, interval and verdict."""
    tables = []
    for metric, (name, meaning) in METRICS.items():
        findings = [f for f in of_set.findings if f.metric == metric]
        if not findings:
            continue
        reported = [_reported(f, metric) for f in findings]
        paper = any(reported)
        head = ["arm", "against", "#difference", f"#{confidence:.0%} interval", "#relative"]
        head += ["verdict: better", *([OTHER_DATA] if paper else [])]
        rows = [
            [
                f.claim.arm,
                f.claim.against,
                signed(f.difference.estimate, metric),
                interval(f, metric),
                _relative(f, of_set.arms[f.claim.against][metric]),
                f.verdict,
                *([in_paper] if paper else []),
            ]
            for f, in_paper in zip(findings, reported, strict=True)
        ]
        key = frozenset(i for i, f in enumerate(findings) if f.supported)
        tables.append(Table(f"{name} on {of_set.name}: {meaning}", head, rows, key))
    return tables


def assignments(facts: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """What each arm's own assignment does."""
    if not facts:
        return None
    rows = [
        [
            arm,
            *(f"{of_arm['hard_share'][s]:.1%}" for s in (TRAIN, EVAL)),
            *(f"{of_arm[n]:,}" if n in of_arm else "" for n in ("flips", "churned_clicks")),
        ]
        for arm, of_arm in facts.items()
    ]
    head = ["assignment", "#hard in train", "#hard in eval", "#flips", "#churned clicks"]
    return Table("assignments other than the run's", head, rows)


def trainings(by_arm: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """What was trained."""
    rows = [
        [
            arm,
            str(len(runs)),
            f"{runs[0]['parameters']:,}",
            ", ".join(str(run["kept_step"]) for run in runs),
            f"{sum(run['seconds'] for run in runs):,.0f}",
        ]
        for arm, runs in by_arm.items()
    ]
    head = ["arm", "#trainings", "#parameters", "kept steps", "#seconds"]
    return Table("trainings", head, rows, folded=True)


def _reported(finding: JudgedClaim, metric: str) -> str:
    """What the paper reports for a claim by a metric."""
    if metric == RECALIBRATED:
        return ""
    return finding.claim.paper_auc if metric in (AUC, EXPECTED_AUC) else finding.claim.paper_rig


def interval(finding: JudgedClaim, metric: str) -> str:
    """Both ends of a difference."""
    low, high = finding.difference.low, finding.difference.high
    return f"[{signed(low, metric)}, {signed(high, metric)}]"


def signed(value: float, metric: str) -> str:
    return f"{value:+.5f}" if math.isfinite(value) else "not defined"


def number(value: float, metric: str) -> str:
    """A value of a metric."""
    digits = 3 if metric == CALIBRATION else 4
    return f"{value:.{digits}f}" if math.isfinite(value) else "not defined"


def _within(level: Estimate) -> str:
    if not math.isfinite(level.estimate):
        return "not defined"
    between = (
        f" [{level.low:.3f}, {level.high:.3f}]" if math.isfinite(level.low + level.high) else ""
    )
    return f"{level.estimate:.3f}{between}"


def _with_spread(figure: Figure | None, metric: str) -> str:
    if figure is None:
        return ""
    spread = f" ± {figure.spread:.4f}" if math.isfinite(figure.spread) else ""
    return f"{number(figure.value, metric)}{spread}"


def _relative(finding: JudgedClaim, baseline: Figure) -> str:
    if not baseline.value > 0 or not math.isfinite(finding.difference.estimate):
        return ""
    return f"{finding.difference.estimate / baseline.value:+.2%}"
