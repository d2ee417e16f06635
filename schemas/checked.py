"""Settings as their models, from values, JSON or YAML; a mistake is an `InputError`."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from schemas import strict_json, strict_yaml
from schemas.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], value: Any, source: str) -> Model:
    """The value as a model.

    Args:
      source: names the value in errors, such as its file.

    Raises:
      InputError: an unknown key, or a value of the wrong type or out of range.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{source}: {first_problem(error)}") from None


def checked_json(model: type[Model], text: str | bytes, source: str) -> Model:
    """As `checked`, of JSON; raises `InputError` also where it is none, or says a thing twice."""
    try:
        strict_json.load(text)
        whole = text.removeprefix(BOM_UTF8) if isinstance(text, bytes) else text
        return model.model_validate_json(whole)
    except ValidationError as error:
        raise InputError(f"{source}: {first_problem(error)}") from None
    except ValueError as error:
        raise InputError(f"{source}: not JSON: {error}") from None


def checked_yaml(model: type[Model], text: str | bytes, source: str) -> Model:
    """As `checked`, of YAML; raises `InputError` also where it is none."""
    return checked(model, parse_yaml(text, source), source)


def parse_yaml(text: str | bytes, source: str) -> Any:
    """What YAML text says; raises `InputError` where it is none, or says a thing twice."""
    try:
        return strict_yaml.load(text)
    except ValueError as error:
        raise InputError(f"{source}: not YAML: {error}") from None


def first_problem(error: ValidationError) -> str:
    """One line for the first of pydantic's findings: key, reason, value seen."""
    finding = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in finding["loc"])
    reason = finding["msg"].removeprefix("Value error, ")
    if finding["type"] == "extra_forbidden":
        reason = "unknown key"
    seen = _shown(finding.get("input"))
    shown = f" (seen: {seen})" if key and len(seen) <= 120 else ""
    more = f" [and {error.error_count() - 1} more]" if error.error_count() > 1 else ""
    return f"{key}: {reason}{shown}{more}" if key else f"{reason}{more}"


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no whole number of more than a few thousand digits
        return "a number of too many digits to show"
