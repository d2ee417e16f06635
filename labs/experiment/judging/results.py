"""From stored predictions to an experiment's figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from common.arrays import Floats
from common.statistics.bootstrap import Estimate
from labs.experiment.judging.expected_auc import expected_auc
from labs.experiment.judging.judge import Bench, Trained, what_is
from labs.experiment.judging.statistics import (
    Areas,
    Difference,
    Draws,
    Judged,
    areas,
    auc_difference,
    calibration,
    expected_areas,
    level,
    rig,
    rig_difference,
)
from labs.experiment.studies.arms import Claim, Experiment
from labs.experiment.trainings.store import Store

RIG, EXPECTED_RIG, RECALIBRATED = "rig", "expected_rig", "rig_recalibrated"
AUC, EXPECTED_AUC = "auc", "expected_auc"
CALIBRATION = "calibration"


@dataclass(frozen=True)
class Figure:
    """A metric of an arm.

    Attributes:
      value: mean over the seeds.
      spread: standard deviation over the seeds; NaN with one.
    """

    value: float
    spread: float


@dataclass(frozen=True)
class JudgedClaim:
    """A claim judged by one metric.

    Attributes:
      drawn: what the interval was made from.
      supported: the whole interval lies above 0.
      reversed: the whole interval lies below 0.
    """

    claim: Claim
    metric: str
    difference: Estimate
    drawn: Difference

    @classmethod
    def of(cls, claim: Claim, metric: str, drawn: Difference, confidence: float) -> JudgedClaim:
        return cls(claim, metric, drawn.within(confidence), drawn)

    @property
    def supported(self) -> bool:
        return self.difference.low > 0

    @property
    def reversed(self) -> bool:
        return self.difference.high < 0

    @property
    def verdict(self) -> str:
        if self.supported:
            return "supported"
        return "not supported; the opposite is" if self.reversed else "not supported"

    def dump(self) -> dict[str, object]:
        """As JSON holds it."""
        return {
            **asdict(self.claim),
            "metric": self.metric,
            **asdict(self.difference),
            "supported": self.supported,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class SetResults:
    """All figures on one set of examples.

    Attributes:
      oracle: metrics of the true probabilities themselves, where they are known.
      arms: metric -> figure by arm.
      levels: by arm, mean prediction over the mean true probability where that is known, else over
        the mean label.
    """

    name: str
    what: str
    examples: int
    positives: int
    setups: int
    oracle: Mapping[str, float]
    arms: Mapping[str, Mapping[str, Figure]]
    findings: tuple[JudgedClaim, ...]
    levels: Mapping[str, Estimate]

    def dump(self) -> dict[str, object]:
        """As JSON holds it."""
        return asdict(replace(self, findings=())) | {"findings": [f.dump() for f in self.findings]}


Predictions = Mapping[str, Sequence[Floats]]
"""Predictions of each seed by arm."""


def measure(
    experiment: Experiment,
    bench: Bench,
    trained: Mapping[str, Sequence[Trained]],
    store: Store,
    root: Path,
    alpha: float,
    draws: Draws,
    progress: Callable[[str], None],
) -> list[SetResults]:
    """The figures of every set that holds an example.

    Args:
      trained: trainings of each seed by arm, in the same order of seeds.
      root: folder of the raw log, where a simulator's truth may lie.
      progress: called with each set's name.
    """
    results = []
    for name in experiment.sets:
        rows = bench.rows(name, root, alpha)
        if not rows.any():
            continue
        progress(name)
        predictions = {
            arm: [bench.predictions(store, t, rows) for t in seeds]
            for arm, seeds in trained.items()
        }
        scaled: Predictions = {}
        if all(arm.scoring == "hard_tower" for arm in experiment.arms):
            scaled = {
                arm: [bench.recalibrated(store, t, rows) for t in seeds]
                for arm, seeds in trained.items()
            }
        results.append(
            _of_set(name, experiment.claims, bench.judged(rows), predictions, scaled, draws)
        )
    return results


def _of_set(
    name: str,
    claims: Sequence[Claim],
    judged: Judged,
    predictions: Predictions,
    scaled: Predictions,
    draws: Draws,
) -> SetResults:
    label, truth = judged.label, judged.truth
    arms: dict[str, dict[str, Figure]] = {}
    ranked = {arm: areas(judged, seeds, draws) for arm, seeds in predictions.items()}
    expected: dict[str, Areas] = {}
    if truth is not None:
        expected = {
            arm: expected_areas(judged, truth, seeds, draws) for arm, seeds in predictions.items()
        }
    for arm, seeds in predictions.items():
        figures = {
            RIG: _figure([rig(label, p) for p in seeds]),
            AUC: _figure(ranked[arm].estimates),
            CALIBRATION: _figure([calibration(label, p) for p in seeds]),
        }
        if truth is not None:
            figures[EXPECTED_RIG] = _figure([rig(truth, p) for p in seeds])
            figures[EXPECTED_AUC] = _figure(expected[arm].estimates)
        if scaled:
            figures[RECALIBRATED] = _figure([rig(label, p) for p in scaled[arm]])
        arms[arm] = figures
    findings = []
    for claim in claims:
        one, other = predictions[claim.arm], predictions[claim.against]
        differences = {RIG: rig_difference(judged, label, one, other, draws)}
        if truth is not None:
            differences[EXPECTED_RIG] = rig_difference(judged, truth, one, other, draws)
        for metric, by_arm in ((EXPECTED_AUC, expected), (AUC, ranked)):
            if by_arm:
                mine, theirs = by_arm[claim.arm], by_arm[claim.against]
                differences[metric] = auc_difference(judged, mine, theirs, draws)
        if scaled:
            differences[RECALIBRATED] = rig_difference(
                judged, label, scaled[claim.arm], scaled[claim.against], draws
            )
        findings += [
            JudgedClaim.of(claim, metric, d, draws.confidence) for metric, d in differences.items()
        ]
    target = label if truth is None else truth
    levels = {arm: level(judged, target, seeds, draws) for arm, seeds in predictions.items()}
    oracle = {}
    if truth is not None:
        oracle = {
            RIG: rig(label, truth),
            EXPECTED_RIG: rig(truth, truth),
            AUC: float(areas(judged, [truth], draws).estimates[0]),
            EXPECTED_AUC: expected_auc(truth, truth),
            CALIBRATION: calibration(label, truth),
        }
    return SetResults(
        name,
        what_is(name),
        len(judged),
        round(float(label.sum())),
        judged.setups,
        oracle,
        arms,
        tuple(findings),
        levels,
    )


def _figure(values: Sequence[float] | Floats) -> Figure:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Figure(float(np.mean(values)), spread)
