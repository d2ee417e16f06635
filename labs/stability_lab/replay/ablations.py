"""The labeller's mechanisms, taken away one at a time and put in one at a time."""

from __future__ import annotations

from dataclasses import dataclass

from components.task_labeler.settings import LabellingSettings
from labs.stability_lab.replay.replay import changed

NO_PRIOR = 2.0**-30
"""Clicks that a prior counts for when it shall count for nothing: it still speaks where a setup
has no click at all. A power of two, so that scaling by it loses no bit."""


@dataclass(frozen=True)
class Ablation:
    """One way to assign.

    Attributes:
      grouped: see `replay.replay`.
    """

    name: str
    settings: LabellingSettings
    grouped: bool = True


def ablations(settings: LabellingSettings, attribution_days: int) -> list[Ablation]:
    """The settings as they are, first; without each mechanism; with none; with each one alone.

    `mature` is left out where the window is too short to hold a mature click.
    """
    no_band: dict[str, object] = {"band": 0.0}
    no_dwell: dict[str, object] = {"min_dwell_days": 0}
    no_prior: dict[str, object] = {"prior_clicks": NO_PRIOR}
    nothing = {**no_band, **no_dwell, **no_prior, "delay": "naive", "decide_by": "mean"}
    tried = [
        Ablation("as configured", settings),
        Ablation("without band", changed(settings, **no_band)),
        Ablation("without dwell", changed(settings, **no_dwell)),
        Ablation("without band and dwell", changed(settings, **no_band, **no_dwell)),
        Ablation("without context in the prior", settings, grouped=False),
        Ablation("without prior", changed(settings, **no_prior)),
    ]
    if settings.prior_clicks != "estimate":
        tenth = changed(settings, prior_clicks=settings.prior_clicks / 10)
        estimated = changed(settings, prior_clicks="estimate")
        tried += [
            Ablation("a tenth of the prior", tenth),
            Ablation("estimated prior", estimated),
            Ablation(
                "estimated prior, by probability",
                changed(estimated, decide_by="probability"),
            ),
        ]
    tried += [
        Ablation(f"delay {how}", changed(settings, delay=how))
        for how in ("naive", "mature", "corrected")
        if how != settings.delay and (how != "mature" or settings.window_days > attribution_days)
    ]
    tried.append(Ablation("plain CVR against alpha", changed(settings, **nothing)))
    alone: dict[str, dict[str, object]] = {
        "band": {"band": settings.band},
        "dwell": {"min_dwell_days": settings.min_dwell_days},
        "prior": {"prior_clicks": settings.prior_clicks},
        f"delay {settings.delay}": {"delay": settings.delay},
    }
    tried += [
        Ablation(f"plain and {name}", changed(settings, **(nothing | kept)))
        for name, kept in alone.items()
        if nothing | kept != nothing
    ]
    return tried
