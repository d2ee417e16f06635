"""A stage that waits for a blessing: skipped, run, and found again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from common.runs.blessing import BLESSING, SKIPPED_FILE, Artifacts, once_blessed


class Stage:
    """A stage with two outputs, and how often it has run."""

    def __init__(self, root: Path) -> None:
        self.root, self.ran = root, 0

    def execute(
        self,
        number: int,
        blessed: bool | None = True,
        examples: str = "a",
        epochs: int = 2,
        graph: Path | None = None,
    ) -> tuple[Path, Path]:
        outputs: Artifacts = {}
        for name, kind in (
            ("model", standard_artifacts.Model),
            ("model_run", standard_artifacts.ModelRun),
        ):
            artifact = kind()
            artifact.uri = str(self.root / name / str(number))
            Path(artifact.uri).mkdir(parents=True)
            outputs[name] = [artifact]
        given = standard_artifacts.Examples()
        given.uri = str(graph or self.root / examples)
        inputs: Artifacts = {"examples": [given]}
        if blessed is not None:
            blessing = standard_artifacts.ModelBlessing()
            blessing.uri = str(self.root / "blessing" / str(number))
            blessing.set_int_custom_property("blessed", int(blessed))
            inputs[BLESSING] = [blessing]

        def run() -> None:
            self.ran += 1
            for (artifact,) in outputs.values():
                Path(artifact.uri, "weights").write_text(f"run {self.ran}")

        once_blessed("Stage", inputs, outputs, {"epochs": epochs}, run)
        return Path(outputs["model"][0].uri), Path(outputs["model_run"][0].uri)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_without_a_blessing_nothing_is_run(stage: Stage) -> None:
    for folder in stage.execute(1, blessed=False):
        assert [p.name for p in folder.iterdir()] == [SKIPPED_FILE]
    assert stage.ran == 0


def test_a_stage_that_waits_for_none_always_runs(stage: Stage) -> None:
    for number in (1, 2):
        model, _ = stage.execute(number, blessed=None)
        assert [p.name for p in model.iterdir()] == ["weights"]
    assert stage.ran == 2


def test_another_blessing_of_the_same_takes_the_result_over(stage: Stage) -> None:
    stage.execute(1, blessed=False)
    first = stage.execute(2)
    second = stage.execute(3)
    assert stage.ran == 1
    for one, other in zip(first, second, strict=True):
        names = sorted(p.name for p in one.iterdir())
        assert names == sorted(p.name for p in other.iterdir())
        assert all((one / n).read_bytes() == (other / n).read_bytes() for n in names)


def test_other_inputs_or_settings_run_again(stage: Stage) -> None:
    stage.execute(1)
    stage.execute(2, examples="b")
    stage.execute(3, epochs=3)
    assert stage.ran == 3
    stage.execute(4, examples="b")
    assert stage.ran == 3


def test_a_result_that_was_cut_short_is_not_taken_over(stage: Stage) -> None:
    _, log = stage.execute(1)
    (log / "result_key").unlink()
    stage.execute(2)
    assert stage.ran == 2


def test_an_input_that_was_taken_over_is_the_same_input(stage: Stage) -> None:
    """Another place, the same key: what a stage before has taken over."""
    graphs = [stage.root / "graph" / name for name in ("1", "2")]
    for graph in graphs:
        graph.mkdir(parents=True)
        (graph / "result_key").write_text("feedbeef")
    stage.execute(1, graph=graphs[0])
    stage.execute(2, graph=graphs[1])
    assert stage.ran == 1
    (graphs[1] / "result_key").write_text("other")
    stage.execute(3, graph=graphs[1])
    assert stage.ran == 2
