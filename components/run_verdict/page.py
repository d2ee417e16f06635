"""The verdict as one small HTML page."""

from __future__ import annotations

from html import escape

from components.run_verdict.verdict import SUCCEEDED, RunOutcome

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem; color: #1b1f24 }}
h1 {{ font-size: 1.4rem; border-left: .4rem solid {colour}; padding-left: .8rem }}
dt {{ font-weight: 600 }} dd {{ margin: 0 0 .6rem }} code {{ overflow-wrap: anywhere }}
</style></head>
<body><h1>{title}</h1><dl>{rows}</dl></body></html>
"""


def render_verdict(verdict: RunOutcome) -> str:
    """A page that needs nothing but itself."""
    model = {True: "blessed", False: "not blessed", None: "not judged"}[verdict.blessed]
    rows = {
        "Run": verdict.run_id,
        "Status": verdict.status,
        "Model": f"{model}: {verdict.summary}",
        "Serving": verdict.serving,
        "Error": verdict.error,
        "Written": verdict.written,
    }
    items = "".join(
        f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows.items() if value
    )
    good = verdict.status == SUCCEEDED
    pushed = verdict.pushed_version
    serving = "left untouched" if pushed is None else f"at new version {pushed}"
    return _PAGE.format(
        title=escape(f"Run {verdict.status.lower()}, model {model}, serving {serving}"),
        colour="#1a7f37" if good and verdict.blessed else "#9a6700" if good else "#cf222e",
        rows=items,
    )
