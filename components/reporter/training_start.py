"""Where a training started, in words."""

from __future__ import annotations

from components.reporter.inputs import Json


def started_from(log: Json) -> str:
    """A served version, or the seed with the reason where a warm start was asked for.

    Args:
      log: the trainer's `training.json`.
    """
    start = log.get("warm_start") or {}
    words = f"version {start['version']}" if start.get("warm") else "the seed"
    asked = log.get("settings", {}).get("training", {}).get("warm_start", "off") != "off"
    if asked and not start.get("warm"):
        words += f": {start.get('reason')}"
    if (step := log.get("resumed_from")) is not None:
        words += f"; interrupted, resumed at step {step:,}"
    return words
