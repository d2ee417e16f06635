"""Every knob of the pipeline, typed, validated and frozen.

This module and all that it imports stay free of TFX and TensorFlow: the command line answers
`--help` and argument errors before either is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from common.as_of import resolve_as_of
from components.data_gate.settings import DataGateSettings
from components.evaluator.settings import EvaluationSettings, GateSettings
from components.example_gen.settings import IngestSettings
from components.pusher.settings import PushSettings
from components.task_labeler.settings import (
    LabellingSettings,
    SplitSettings,
    refuse_short_window,
)
from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings
from pipeline.kubeflow_settings import KubeflowSettings
from pipeline.overrides import read_yaml, with_overrides
from schemas.base import Days, Frozen
from schemas.checked import checked
from schemas.contract import Contract, load_contract
from schemas.errors import InputError

CONFIG_DIR = Path(__file__).parent / "configs"


class InputSettings(Frozen):
    """Changes to the contract's `input` for this run."""

    root: str = "."
    """Folder that relative patterns, and the files of an adapter, start from."""
    pattern: str = ""
    """Replaces the contract's pattern."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Laid over the contract's adapter options."""


class StatisticsSettings(Frozen):
    """What StatisticsGen looks at."""

    sample_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the examples that statistics are computed from."""


class PipelineConfig(Frozen):
    """One pipeline: a log, how it is labelled, what is trained on it, when a model may ship."""

    name: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
    """Names the pipeline in the metadata store and on Kubeflow, which wants a letter or digit at
    both ends, and 63 characters at most: a label of Kubernetes."""
    contract: str
    """A contract that ships with hardtower, or the path of one."""
    as_of: str = ""
    """The first day (UTC) whose events the run must not see; empty for today."""
    window_days: Days
    """Days of clicks before `as_of` that are read."""
    input: InputSettings = InputSettings()
    ingest: IngestSettings = IngestSettings()
    labelling: LabellingSettings = LabellingSettings()
    splits: SplitSettings = SplitSettings()
    statistics: StatisticsSettings = StatisticsSettings()
    data_gate: DataGateSettings = DataGateSettings()
    model: ModelSettings = ModelSettings()
    loss: LossSettings = LossSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    push: PushSettings = PushSettings()
    beam_args: tuple[str, ...] = ()
    """Beam pipeline options of every Beam component; none is the DirectRunner in one process. With
    any option that names no container image or package of its own, TFX packs its own sources
    first, in every stage."""
    kubeflow: KubeflowSettings | None = None
    """Needed by `hardtower compile` alone."""

    @field_validator("as_of", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value

    @model_validator(mode="after")
    def _consistent(self) -> PipelineConfig:
        if self.as_of:
            resolve_as_of(self.as_of)
        return self

    @cached_property
    def data_contract(self) -> Contract:
        """The contract with this run's changes to its `input`.

        Raises:
          InputError: the contract is missing or wrong.
        """
        contract = load_contract(self.contract)
        form = contract.input.model_dump()
        form["options"] = {**form["options"], **self.input.options}
        if self.input.pattern:
            form["pattern"] = self.input.pattern
        return checked(Contract, contract.model_dump() | {"input": form}, "input")


def load_config(name_or_path: str, overrides: Iterable[str] = ()) -> PipelineConfig:
    """Reads a configuration and lays `key.subkey=value` overrides over it, values in YAML.

    >>> load_config("complete_journey", ["labelling.alpha=0.02"]).labelling.alpha
    0.02

    Raises:
      InputError: the file is missing or not YAML, or a key or value is wrong; the message names
        the file and the key.
    """
    shipped = CONFIG_DIR / f"{name_or_path}.yaml"
    path = shipped if shipped.is_file() else Path(name_or_path)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in CONFIG_DIR.glob("*.yaml")))
        raise InputError(f"config: no file {name_or_path!r}; wanted a path or one of: {known}")
    raw = read_yaml(path)
    if "roles" in raw and "contract" not in raw:
        raise InputError(
            f"{path}: that is a contract; wanted a config, which names it under `contract`"
        )
    config = checked(PipelineConfig, with_overrides(raw, overrides), str(path))
    try:
        refuse_short_window(config.labelling, config.data_contract)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return config
