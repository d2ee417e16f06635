"""The run's parameters as execution properties of TFX components."""

from __future__ import annotations

from collections.abc import Mapping

from tfx.orchestration.data_types import RuntimeParameter
from tfx.types.component_spec import ExecutionParameter

from common.runs.parameters import RunParameter

ParameterValues = Mapping[str, str | int | float | RuntimeParameter]
"""Name of a parameter -> its value, or what the orchestrator will put there."""


def execution_parameters(parameters: tuple[RunParameter, ...]) -> dict[str, ExecutionParameter]:
    """Entries of a component's `PARAMETERS`."""
    return {p.name: ExecutionParameter(type=p.kind, optional=True) for p in parameters}


def chosen(
    parameters: tuple[RunParameter, ...], values: ParameterValues | None
) -> dict[str, str | int | float | RuntimeParameter]:
    """Those of the values that a component has a parameter for."""
    given = values or {}
    return {p.name: given[p.name] for p in parameters if p.name in given}
