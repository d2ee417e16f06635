"""Keys of reused results follow the code, through imports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.runs import provenance
from common.runs.provenance import code_fingerprint

SOURCES = {
    "__init__": "",
    "stage": "def run():\n    from toy.rules import cut\n    return cut()\n",
    "rules": "import toy.rates\n\ndef cut():\n    return toy.rates.RATE\n",
    "rates": "RATE = 1\n",
    "other": "from toy import stage\n",
}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Writes a source of the package `toy`; returns the fingerprint of `toy.stage` after it."""
    (tmp_path / "toy").mkdir()
    for name, source in SOURCES.items():
        (tmp_path / "toy" / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setattr(provenance, "PACKAGES", ("toy",))

    def write(name: str, source: str) -> str:
        (tmp_path / "toy" / f"{name}.py").write_text(source)
        forget()
        return code_fingerprint("toy.stage")

    forget()
    yield write
    forget()


def forget() -> None:
    provenance._fingerprint.cache_clear()
    provenance._import_graph.cache_clear()


def test_a_changed_dependency_changes_the_key(toy: Callable[[str, str], str]) -> None:
    first = toy("rates", "RATE = 1\n")
    assert len(first) == 16
    assert toy("rates", "RATE = 2\n") != first
    assert toy("rates", "RATE = 1\n") == first
    assert toy("rules", SOURCES["rules"].replace("cut()", "cut() -> int")) != first


def test_what_is_not_imported_changes_nothing(toy: Callable[[str, str], str]) -> None:
    first = toy("other", SOURCES["other"])
    assert toy("other", "from toy import rules\n") == first
    assert toy("unrelated", "RATE = 3\n") == first


def test_unknown_modules_are_refused(toy: Callable[[str, str], str]) -> None:
    toy("rates", "RATE = 1\n")
    with pytest.raises(ValueError, match=r"'toy\.gone' is no module of toy"):
        code_fingerprint("toy.gone")


@pytest.mark.parametrize(
    ("module", "depends_on"),
    [
        # Decides which rows and folds a training sees.
        ("labs.experiment.trainings.training", "labs.experiment.studies.cuts"),
        ("labs.experiment.trainings.data", "components.trainer.data.load"),
        ("components.trainer.run_fn", "components.transform.layout"),
        ("components.task_labeler.executor", "components.task_labeler.decide.hysteresis"),
        ("components.evaluator.executor", "common.statistics.bootstrap"),
        ("components.example_gen.executor", "components.example_gen.adapters.journey.features"),
    ],
)
def test_what_decides_results_is_in_their_key(module: str, depends_on: str) -> None:
    assert depends_on in provenance._imported(frozenset([module]))
