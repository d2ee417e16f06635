"""A request as columns, whatever body it came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from service.models.inputs import InputSchema, RawFeatures

LONGEST_TEXT = 1024
"""Characters of an id or a key, at most."""

FIELDS = ("setup_id", "category", "advertiser_type", "key")
"""What a candidate has besides features, each text or null."""

ESCAPED = "features."
"""In a body of columns, what stands before a feature that is named like one of `FIELDS`."""

LARGEST = float(np.finfo(np.float32).max)
OUT_OF_RANGE = "out of range; wanted a number that float32 can hold"

Texts = Sequence[str | None]
Column = TypeVar("Column")


class BadFieldError(ValueError):
    """A field of a request that cannot be used.

    Attributes:
      field: where it is, such as `candidates.3.features.price`; empty for the body as a whole.
      message: value seen and value wanted.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True)
class Request:
    """One ad request of n candidates.

    Attributes:
      request_id: comes back in the answer and in the decision log.
      key: what an A/B test hashes where its unit is the request.
      columns: the candidates' features, those of the context among them.
      fields: the candidates' `FIELDS`, n values each; one that nobody sent is absent.
    """

    request_id: str | None
    key: str | None
    columns: RawFeatures
    fields: Mapping[str, Texts]

    def __len__(self) -> int:
        return self.columns.numbers.shape[1]

    def field(self, name: str) -> Texts:
        """One of `FIELDS`, None where it is absent."""
        return self.fields.get(name) or [None] * len(self)


@dataclass(frozen=True)
class Context:
    """Features that all candidates share.

    Attributes:
      text: by text feature, empty where missing.
      numbers: float32 [number features], NaN where missing.
    """

    text: Sequence[str]
    numbers: npt.NDArray[np.float32]

    def repeated(self, schema: InputSchema, n: int) -> RawFeatures:
        """Features of n candidates of which nothing else is known."""
        columns = RawFeatures.empty(schema, n)
        for row, value in enumerate(self.text):
            columns.text[row] = value
        columns.numbers[:] = self.numbers[:, None]
        return columns


def column_names(schema: InputSchema) -> dict[str, str]:
    """Features by the names that they may have in a body of columns."""
    return {ESCAPED + n if n in FIELDS else n: f for n, f in schema.spellings().items()}


def by_feature(given: Mapping[str, Column], features: Mapping[str, str]) -> dict[str, Column]:
    """Columns of a body by feature.

    Args:
      features: by the columns' names.

    Raises:
      BadFieldError: two of the columns are the same feature.
    """
    names: dict[str, str] = {}
    for name in given:
        if (other := names.setdefault(features[name], name)) != name:
            refuse_second("candidates", other, name)
    return {feature: given[name] for feature, name in names.items()}


def refuse_second(place: str, name: str, other: str) -> NoReturn:
    """Raises `BadFieldError`: a feature is there by two names."""
    raise BadFieldError(f"{place}.{other}", f"the feature is there as {name!r} too; wanted it once")


def float64s(columns: Sequence[Sequence[float | None]], n: int) -> npt.NDArray[np.float64]:
    """Numbers with NaN in the place of None, [columns, n]."""
    # A tenth of the time that NumPy takes to look into a sequence of Python's numbers.
    pack = Struct(f"{n}d").pack

    def packed(column: Sequence[float | None]) -> bytes:
        try:
            return pack(*column)
        except StructError:
            return np.array(column, np.float64).tobytes()

    joined = bytearray().join(map(packed, columns))
    return np.frombuffer(joined).reshape(len(columns), n)


def refuse_large(wide: npt.NDArray[np.float64], place: Callable[..., str]) -> None:
    """Raises `BadFieldError` at the first number that float32 cannot hold; `place` names it by its
    indices."""
    if (large := np.abs(wide) > LARGEST).any():
        raise BadFieldError(place(*(int(axis[0]) for axis in np.nonzero(large))), OUT_OF_RANGE)


def refuse_count(n: int, most: int) -> None:
    """Raises `BadFieldError` where there is no candidate, or more than `most`."""
    if not 1 <= n <= most:
        wanted = f"at most {most}" if n else "at least one"
        raise BadFieldError("candidates", f"{n} of them; wanted {wanted}")
