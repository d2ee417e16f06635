"""A compiled pipeline, and the parameters of a run of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.as_of import resolve_as_of
from schemas import strict_json
from schemas.errors import InputError

AS_OF = "as_of"
SCHEDULED_TIME = "[[ScheduledTime"
"""Begin of what back ends from 2.16 on replace by the time that a run was scheduled for."""


@dataclass(frozen=True)
class Package:
    """A compiled pipeline on disk.

    Attributes:
      name: of the pipeline.
      parameters: name -> definition (`parameterType`, `defaultValue`, `isOptional`).
    """

    path: Path
    name: str
    parameters: Mapping[str, Mapping[str, Any]]

    def arguments(self, given: Iterable[str]) -> dict[str, Any]:
        """Values of `name=value` texts, each in its parameter's type.

        Raises:
          InputError: no such parameter, not of its type, or one without a default is missing.
        """
        values: dict[str, Any] = {}
        for text in given:
            name, equals, value = text.partition("=")
            if not equals:
                raise InputError(f"--param: seen {text!r}, wanted name=value")
            if name not in self.parameters:
                known = ", ".join(sorted(self.parameters)) or "none"
                raise InputError(
                    f"--param {text}: {self.path} has no parameter {name!r}; it has: {known}"
                )
            values[name] = self._value(name, value)
        for name, definition in self.parameters.items():
            needed = "defaultValue" not in definition and not definition.get("isOptional")
            if needed and name not in values:
                raise InputError(f"--param: {self.path} wants a value of {name!r}")
        return values

    def _value(self, name: str, text: str) -> Any:
        kind = self.parameters[name].get("parameterType", "STRING")
        if kind == "STRING":
            if name == AS_OF and SCHEDULED_TIME not in text:
                resolve_as_of(text)
            return text
        try:
            value = strict_json.load(text)
        except ValueError:
            value = None
        wanted: tuple[type, ...] = {
            "NUMBER_INTEGER": (int,),
            "NUMBER_DOUBLE": (int, float),
            "BOOLEAN": (bool,),
            "LIST": (list,),
            "STRUCT": (dict,),
        }.get(kind, (object,))
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise InputError(f"--param {name}={text}: wanted a value of type {kind}")
        return value


def read_package(path: Path) -> Package:
    """Reads what `hardtower compile` wrote.

    Raises:
      InputError: the file is missing or not a compiled pipeline.
    """
    if not path.is_file():
        raise InputError(f"--package-file: no file {str(path)!r}; wanted a compiled pipeline")
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(f"--package-file: seen {str(path)!r}, wanted a .yaml file")
    try:
        documents = [d for d in yaml.safe_load_all(path.read_text("utf-8")) if d is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from None
    spec = documents[0] if documents else None
    if (
        not isinstance(spec, dict)
        or "root" not in spec
        or "name" not in spec.get("pipelineInfo", {})
    ):
        raise InputError(f"{path}: not a compiled pipeline; wanted pipelineInfo.name and root")
    inputs = spec["root"].get("inputDefinitions", {})
    return Package(path, spec["pipelineInfo"]["name"], inputs.get("parameters", {}))
