"""The notebook under examples/, as it is kept, and run anew on a small finished run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from small_log import FinishedRun

NOTEBOOK = Path(__file__).parents[3] / "examples" / "open_a_run.ipynb"
PLOTS = 3


def images(notebook: Any) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", ()) for output in outputs)


def test_it_is_kept_executed_small_and_without_places_of_a_machine() -> None:
    text = NOTEBOOK.read_text()
    assert len(text) < 300_000
    assert images(nbformat.reads(text, as_version=4)) == PLOTS
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|usr|work|opt|mnt)/[\w/.-]*", text) == []
    assert '"stderr"' not in text


@pytest.mark.tfx
def test_it_runs_on_a_finished_run(first_run: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDTOWER_OUT", str(first_run.project.out))
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    folder = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=folder).execute()
    assert images(notebook) == PLOTS
