"""An experiment as a page, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.pages.page import Page, Section, Table, render
from common.pages.text import counted
from labs.experiment.run import Ended, Plan
from labs.experiment.show import tables
from labs.experiment.show.plot import differences
from labs.experiment.studies.arms import Experiment

FEW_SETS = 3
"""Sets of examples up to which a page needs no table of them all."""


@dataclass(frozen=True)
class Origin:
    """Where the data comes from, for the report.

    Attributes:
      created: moment of the report, UTC, ISO format.
      command: command line that repeats it.
    """

    run_id: str
    contract: str
    code_version: str
    created: str
    command: str


def sections(plan: Plan, ended: Ended) -> list[Section]:
    """All that the page shows below its cards."""
    seeds, confidence = len(plan.seeds), plan.draws.confidence
    how = [
        *plan.experiment.notes,
        f"All arms share the run's transformed examples and "
        f"{counted(seeds, 'seed')}; they are compared seed by seed on the same examples. "
        f"Intervals: {plan.draws.confidence:.0%}, percentile bootstrap of {plan.draws.resamples:,} "
        "resamples that draws setups with replacement, jointly for all seeds, and seeds with "
        "replacement. A claim is supported when the whole interval lies above 0; the intervals "
        "of a table are not adjusted to each other.",
    ]
    methods = {arm.settings.training.calibration.method for arm in plan.experiment.arms}
    if calibrated := sorted(methods - {"none"}):
        how.append(
            "What the served tower predicts is calibrated as a run exports it "
            f"({', '.join(calibrated)}, on the calibration split)."
        )
    if seeds == 1:
        how.append("With one seed the intervals say nothing of other seeds.")
    if plan.sample.share < 1:
        kept = {
            "setup": "whole setups, chosen by a hash of their id, in every split",
            "day": "the last days of the train split; the other splits are whole",
        }[plan.sample.by]
        how.append(f"A sample of {plan.sample.share:.0%}: {kept}.")
    of_sets = [
        Section(
            f"On {one.name.replace('_', ' ')} examples",
            [],
            differences(one),
            [*tables.claims(one, confidence), tables.figures(one)],
        )
        for one in ended.sets
    ]
    if len(of_sets) > FEW_SETS:
        of_sets.insert(0, Section("In short", [], [], [tables.overview(ended.sets, confidence)]))
    more: list[Table] = [tables.trainings(ended.trainings)]
    if (assigned := tables.assignments(ended.assignments)) is not None:
        more.insert(0, assigned)
    return [*of_sets, Section("Method", how, [], more)]


def html(plan: Plan, ended: Ended, origin: Origin, settings: str) -> str:
    """The page, self-contained."""
    main = ended.sets[0]
    done = sum(len(runs) for runs in ended.trainings.values())
    supported = sum(f.supported for f in main.findings)
    cards = [
        (f"{supported} of {len(main.findings)}", "claims supported, over all metrics"),
        (f"{main.positives:,}", f"conversions judged, {main.setups:,} setups"),
        (str(len(plan.seeds)), "seeds"),
        (str(done), "trainings"),
    ]
    meta = (
        f"{plan.experiment.question} · run {origin.run_id} · contract {origin.contract} · "
        f"assignment {plan.data.record['assignment_id']} · code {origin.code_version} · "
        f"{origin.created} · {origin.command}"
    )
    title = f"experiment {plan.experiment.name}"
    return render(Page(title, meta, cards, sections(plan, ended), settings))


def markdown(plan: Plan, ended: Ended) -> str:
    """The tables as Markdown."""
    return as_markdown(plan.experiment, sections(plan, ended))


def as_markdown(experiment: Experiment, sections: Sequence[Section]) -> str:
    """Notes and tables of sections."""
    parts = [f"## {experiment.name}", experiment.question]
    for section in sections:
        parts += [f"### {section.title}", *section.notes]
        parts += [_markdown_table(table) for table in section.tables]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    marks = ["---:" if name.startswith("#") else "---" for name in table.head]
    head = [name.removeprefix("#") for name in table.head]
    return "\n".join([f"{table.caption}:", "", line(head), line(marks), *map(line, table.texts())])


def results(plan: Plan, ended: Ended, origin: Origin) -> dict[str, Any]:
    """Everything, as JSON holds it but for numbers that are not finite."""
    return {
        "experiment": plan.experiment.name,
        "question": plan.experiment.question,
        "notes": list(plan.experiment.notes),
        **vars(origin),
        "data": {"key": plan.data.key, **{k: v for k, v in plan.data.record.items()}},
        "sample": plan.sample.model_dump(),
        "seeds": list(plan.seeds),
        "bootstrap": vars(plan.draws),
        "arms": {arm.name: arm.settings.dump() for arm in plan.experiment.arms},
        "sets": [one.dump() for one in ended.sets],
        "assignments": ended.assignments,
        "trainings": ended.trainings,
    }
