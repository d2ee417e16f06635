"""The data set contract: what a click log's columns mean, and which of them a model may see.

One YAML file describes one log. `load_contract` reads it; every mistake in it is an `InputError`
that names the file and the key.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from schemas import labelled
from schemas.base import Frozen
from schemas.checked import checked, parse_yaml
from schemas.errors import InputError

SCHEMA_DIR = Path(__file__).parent
Column = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A name without line breaks and other control characters."""
SETUP_BUCKETS = 16_384


class CsvFormat(Frozen):
    """How a delimited text file is laid out."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    columns: tuple[Column, ...] = ()
    """Column names of a file without a header line; empty when the file has one."""
    null_values: tuple[str, ...] = ("",)
    encoding: str = "utf-8"
    """Of the text, as Python names it: `cp1252` of Windows, `latin-1`, `utf-16`."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            carries = _carries_text(encoding)
        except (LookupError, ValueError):
            carries = False
        if not carries:
            raise ValueError("no such encoding of text; wanted one such as cp1252")
        return codecs.lookup(encoding).name

    @model_validator(mode="after")
    def _once(self) -> CsvFormat:
        if twice := sorted({c for c in self.columns if self.columns.count(c) > 1}):
            raise ValueError(f"columns: listed twice: {', '.join(twice)}")
        return self


_PROBE = "".join(map(chr, range(0x20, 0x7F))) + "\\u0041 +AEE- ~{~}\r\n\t"
"""ASCII, and what `unicode_escape`, `utf-7` and their like write other characters by."""


def _carries_text(encoding: str) -> bool:
    """Whether every ASCII character is itself in the encoding, and as long as any other."""
    raw = _PROBE.encode(encoding)
    mark = len("".encode(encoding))
    return raw.decode(encoding) == _PROBE and (len(raw) - mark) % len(_PROBE) == 0


class InputFormat(Frozen):
    """Where the rows come from.

    `pattern` is a glob; `{YYYY}`, `{MM}` and `{DD}` in it mark daily partitions by click date, or
    `{SPAN}` the number of days since 1970-01-01. An `adapter` turns a published log into contract
    columns and reads the files that it documents itself.
    """

    format: Literal["parquet", "csv", "tfrecord", "adapter", "bigquery"]
    pattern: str = ""
    adapter: str = ""
    query: str = ""
    """BigQuery SQL; `{start}` and `{end}` become the first day and the day after the last."""
    csv: CsvFormat = CsvFormat()
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Settings of the adapter, checked by the adapter."""

    @model_validator(mode="after")
    def _one_source(self) -> InputFormat:
        needs = {"adapter": "adapter", "bigquery": "query"}.get(self.format, "pattern")
        if not getattr(self, needs):
            raise ValueError(f"format {self.format!r} needs `{needs}`")
        partitions = [p for p in ("{YYYY}", "{MM}", "{DD}") if p in self.pattern]
        if partitions and len(partitions) < 3:
            raise ValueError(
                f"pattern {self.pattern!r} has {', '.join(partitions)}: "
                "wanted all of {YYYY}, {MM} and {DD}, or {SPAN}, or none"
            )
        return self


class Roles(Frozen):
    """Which column plays which part."""

    timestamp: Column
    """Time of the click, int64 in `timestamp_unit`, or an Arrow timestamp."""
    label: Column
    """1 when the click converted inside the attribution window, else 0; see `positive_labels`."""
    setup: Annotated[tuple[Column, ...], Field(min_length=1)]
    """The columns whose values together are one conversion setup (an advertiser's goal)."""
    conversion_timestamp: Column | None = None
    """Time of the conversion; null, -1 or 0 where there is none."""
    advertiser: Column | None = None
    advertiser_type: Column | None = None
    conversion_category: Column | None = None
    spend: Column | None = None
    weight: Column | None = None
    """What the example counts in training and on the calibration split, 0 or more; 1 without this
    role, and always 1 in evaluation. Never a feature: weights that undo a sampling by outcome
    know the outcome."""


class Categorical(Frozen):
    """A string feature, embedded. Hashed into `buckets`, or looked up in a learned vocabulary."""

    name: Column
    buckets: Annotated[int, Field(ge=2, le=2**28)] | None = None
    vocabulary: Annotated[int, Field(ge=1, le=2**28)] | None = None
    """Most frequent values kept; one more id stands for all others."""
    width: Annotated[int, Field(ge=1, le=1024)] = 16

    @model_validator(mode="after")
    def _hash_or_vocabulary(self) -> Categorical:
        if (self.buckets is None) == (self.vocabulary is None):
            raise ValueError(f"feature {self.name!r} needs exactly one of `buckets`, `vocabulary`")
        return self

    @property
    def rows(self) -> int:
        """Rows of the feature's embedding table."""
        return self.buckets if self.buckets is not None else (self.vocabulary or 0) + 1


class Numeric(Frozen):
    """A float feature; missing values become the mean and raise a missing flag."""

    name: Column
    transform: Literal["identity", "zscore", "log1p", "log"] = "zscore"
    """`log1p` is sign(x) log(1+|x|), z-scored. `log`, for rates, is log(max(x, 1e-6)), z-scored."""


class Features(Frozen):
    """What a model may see; by default also what tells one setup from another."""

    categorical: tuple[Categorical, ...] = ()
    numeric: tuple[Numeric, ...] = ()
    of_setup: bool = True
    """Whether the setup's columns and `historical_cvr` are features where they are not listed:
    the columns hashed into `SETUP_BUCKETS`, the CVR by its logarithm."""

    @property
    def names(self) -> tuple[str, ...]:
        return (*(f.name for f in self.categorical), *(f.name for f in self.numeric))


@cache
def _zones() -> frozenset[str]:
    """Zones by names that mean the same on every machine, and something on each."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


class Contract(Frozen):
    """A click log's data set contract."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    description: str
    licence: str = ""
    provenance: str = ""
    input: InputFormat
    timestamp_unit: Literal["s", "ms", "us", "ns", "iso"] = "s"
    """Of whole numbers since 1970-01-01 UTC; `iso` reads text such as `2026-01-31T12:00:00+01:00`,
    whose zone must be there, unless `timestamp_zone` says it. Arrow timestamps need no unit."""
    timestamp_zone: str | None = None
    """Zone of date-times that name none, such as `Europe/Berlin`: of text in `iso`, and of Arrow
    timestamps, which are UTC otherwise. Of an hour that a clock shows twice, the first is meant."""
    positive_labels: Literal["above_zero"] | tuple[str, ...] = ()
    """Values of the label column that stand for 1, all others for 0; `above_zero` of a number, such
    as a purchase's amount. Empty: the column holds 0 and 1, or is a bool."""
    attribution_window_days: Annotated[int, Field(ge=0, le=366)]
    """Days after the click in which a conversion counts; 0: the rest of the click's day (UTC), as
    for conversions within a session."""
    roles: Roles
    features: Features
    leaks: tuple[Column, ...] = ()
    """Columns that hold knowledge from after the click and must never be features."""

    @model_validator(mode="before")
    @classmethod
    def _features_of_setup(cls, raw: Any) -> Any:
        """Lists what `features.of_setup` adds; what is malformed is left to the fields' checks."""
        try:
            features, roles = dict(raw["features"]), raw["roles"]
            if features.get("of_setup", True) is not True:
                return raw
            listed = {kind: list(features.get(kind, ())) for kind in ("categorical", "numeric")}
            names = {feature["name"] for kind in listed.values() for feature in kind}
            wanted = [c for c in dict.fromkeys(roles["setup"]) if c not in names]
        except (KeyError, TypeError, ValueError):
            return raw
        listed["categorical"] += [{"name": c, "buckets": SETUP_BUCKETS} for c in wanted]
        if labelled.HISTORICAL_CVR not in names:
            listed["numeric"].append({"name": labelled.HISTORICAL_CVR, "transform": "log"})
        return {**raw, "features": features | listed}

    @field_validator("timestamp_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in _zones():
            raise ValueError("no such time zone; wanted one such as UTC or Europe/Berlin")
        return zone

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        names = self.features.names
        if not names:
            raise ValueError("features: at least one categorical or numeric feature is wanted")
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"features: listed twice: {', '.join(twice)}")
        # TensorFlow names inputs by letters, digits and underscores.
        plain = [re.sub(r"\W", "_", n) for n in names]
        if alike := [n for n, p in zip(names, plain, strict=True) if plain.count(p) > 1]:
            raise ValueError(
                f"features: {', '.join(alike)} differ in punctuation alone; wanted names that "
                "differ in a letter or digit"
            )
        r = self.roles
        self._one_role_each()
        after_the_click = {*self.leaks, r.label, r.conversion_timestamp, r.weight} - {None}
        if leaking := [n for n in names if n in after_the_click]:
            raise ValueError(
                f"features: {', '.join(leaking)} leaks the outcome (listed under `leaks`, or the "
                "label, the conversion time or the weight); take it out of the features"
            )
        numeric = {f.name for f in self.features.numeric}
        lent = numeric & labelled.NUMERIC_FEATURES
        if reserved := sorted(({*names} - lent | {*self.log_columns}) & labelled.RESERVED):
            raise ValueError(
                f"column names reserved by the task labeller: {', '.join(reserved)}; rename the "
                "columns in the log"
            )
        if clash := sorted(numeric & set(self.string_columns)):
            raise ValueError(f"numeric features that are also keys: {', '.join(clash)}")
        if self.input.format == "bigquery" and (self.positive_labels or self.timestamp_zone):
            raise ValueError(
                "positive_labels and timestamp_zone are for files; wanted a query that gives "
                "labels of 0 and 1, and times in UTC"
            )
        if r.weight is not None and r.weight in {*self.string_columns, *self.int_columns, r.spend}:
            raise ValueError(
                f"roles.weight: column {r.weight!r} has another role; wanted a column of its own"
            )
        return self

    def _one_role_each(self) -> None:
        """Refuses columns whose roles contradict each other."""
        r = self.roles
        keys = (*r.setup, r.advertiser, r.advertiser_type, r.conversion_category)
        if twice := sorted({c for c in r.setup if r.setup.count(c) > 1}):
            raise ValueError(f"roles.setup: listed twice: {', '.join(twice)}")
        own = [c for c in (r.timestamp, r.label, r.conversion_timestamp, r.spend) if c is not None]
        if shared := sorted({c for c in own if own.count(c) > 1}):
            raise ValueError(
                f"roles: {', '.join(shared)} is more than one of timestamp, label, "
                "conversion_timestamp and spend; wanted a column of its own for each"
            )
        if known_later := sorted({*own, *self.leaks} & {c for c in keys if c is not None}):
            raise ValueError(
                f"roles: {', '.join(known_later)} is part of the setup or its context; wanted "
                "columns that name it and are known at the click"
            )

    @property
    def labels_ripen(self) -> bool:
        """Whether labels change after the click's day, and the log tells when they did."""
        return self.roles.conversion_timestamp is not None and self.attribution_window_days > 0

    @property
    def string_columns(self) -> tuple[str, ...]:
        """Columns stored as bytes: keys and categorical features."""
        r = self.roles
        keys = (*r.setup, r.advertiser, r.advertiser_type, r.conversion_category)
        return _unique(*keys, *(f.name for f in self.features.categorical))

    @property
    def float_columns(self) -> tuple[str, ...]:
        """Columns stored as float32: numeric features of the log, spend and weight."""
        numeric = (f.name for f in self.features.numeric)
        of_log = (name for name in numeric if name not in labelled.NUMERIC_FEATURES)
        return _unique(*of_log, self.roles.spend, self.roles.weight)

    @property
    def int_columns(self) -> tuple[str, ...]:
        """int64 columns: click time (s), label, conversion time (s, -1 where there is none)."""
        return _unique(self.roles.timestamp, self.roles.label, self.roles.conversion_timestamp)

    @property
    def log_columns(self) -> tuple[str, ...]:
        """Every column that is read from the log; all others are left behind."""
        return _unique(*self.int_columns, *self.string_columns, *self.float_columns)


def _unique(*names: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(n for n in names if n is not None))


def contract_path(name_or_path: str) -> Path:
    """The file of a contract that ships with hardtower, or the path given.

    Raises:
      InputError: there is no such file.
    """
    shipped = SCHEMA_DIR / f"{name_or_path}.yaml"
    path = shipped if shipped.is_file() else Path(name_or_path)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SCHEMA_DIR.glob("*.yaml")))
        raise InputError(f"contract: no file {name_or_path!r}; wanted a path or one of: {known}")
    return path


def load_contract(name_or_path: str) -> Contract:
    """Reads and checks a contract: one that ships with hardtower, or a file.

    >>> contract = load_contract("complete_journey")
    >>> contract.attribution_window_days
    30

    Raises:
      InputError: the file is missing, is not YAML, or breaks the contract's rules.
    """
    path = contract_path(name_or_path)
    return parse_contract(path.read_bytes(), source=str(path))


def parse_contract(text: str | bytes, source: str = "contract") -> Contract:
    """As `load_contract`, from YAML or JSON text; `source` names it in errors."""
    raw = parse_yaml(text, source)
    if isinstance(raw, dict) and "contract" in raw and "roles" not in raw:
        raise InputError(
            f"{source}: that is a config; wanted the contract, which it names under `contract`"
        )
    return checked(Contract, raw, source)
