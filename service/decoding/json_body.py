"""JSON bodies, candidate by candidate or column by column, straight into columns.

The decoder is made for the models' inputs: it checks types while it parses, and makes one flat
struct a candidate instead of dictionaries and validated objects. What a body may make it build is
bounded before it starts, by counting the body's commas and brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from schemas import strict_json
from service.decoding.request import (
    FIELDS,
    LONGEST_TEXT,
    OUT_OF_RANGE,
    BadFieldError,
    Context,
    Request,
    by_feature,
    column_names,
    float64s,
    refuse_count,
    refuse_large,
    refuse_second,
)
from service.models.inputs import InputSchema, RawFeatures

_NO_NUMBER = float("inf")
_NO_TEXT: Any = False
"""What an absent feature becomes. Neither can come out of JSON, unlike null, which a candidate may
set against the context. The latter is false as null and the empty string are: one look at a column
tells that nothing is missing from it."""

_SHORT = 2**18
"""Bytes of a body that builds at most some ten megabytes."""

_Text = Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)] | None
_WORDS = {
    "float": "a number",
    "int": "a number",
    "str": "text",
    "bool": "a truth value",
    "array": "a list",
    "object": "an object",
}
"""msgspec's names of types."""
_UNWRITABLE = re.compile(r'["\\]')
"""What msgspec takes in no name of a field; a feature with it goes by its input's name."""
_NAMED = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)
_TYPED = re.compile(r"Expected `(.*)`, got `(.*)`")


class JsonDecoder:
    """Decodes JSON bodies.

    Args:
      schema: the models' inputs.
      max_candidates: most candidates in one request.
    """

    def __init__(self, schema: InputSchema, max_candidates: int) -> None:
        self._schema = schema
        self._most = max_candidates
        names = _writable(schema.spellings())
        self._names = tuple(names)
        self._places = [
            [place for place, of in enumerate(names.values()) if of == feature]
            for feature in (*schema.numbers, *schema.text)
        ]
        features = _struct(
            "Features",
            [
                (name, float | None, _NO_NUMBER)
                if feature in schema.numbers
                else (name, str | None, _NO_TEXT)
                for name, feature in names.items()
            ],
        )
        self._none: Any = features()
        candidate = _struct(
            "Candidate",
            [(name, _Text, _NO_TEXT) for name in FIELDS] + [("features", features, self._none)],
        )
        self._features = _writable(column_names(schema))
        columnar = _struct(
            "Columnar",
            [(name, list[_Text] | None | msgspec.UnsetType, msgspec.UNSET) for name in FIELDS]
            + [
                (column, list[float | None] | None | msgspec.UnsetType, msgspec.UNSET)
                if feature in schema.numbers
                else (column, list[str | None] | None | msgspec.UnsetType, msgspec.UNSET)
                for column, feature in self._features.items()
            ],
        )
        self._columns = (*FIELDS, *self._features)
        request = _struct(
            "Request",
            [
                ("candidates", list[candidate] | columnar),  # type: ignore[valid-type]
                ("request_id", _Text, _NO_TEXT),
                ("key", _Text, _NO_TEXT),
                ("context", features, self._none),
            ],
        )
        self._decoder = msgspec.json.Decoder(request)
        self._context = msgspec.json.Decoder(features)

    def decode(self, body: bytes | bytearray) -> Request:
        """The request in a body.

        Raises:
          BadFieldError: the first thing that is wrong with it.
        """
        return self.arrange(self.parse(body), body)

    def parse(self, body: bytes | bytearray) -> msgspec.Struct:
        """The body's values, bounded and of the right types, as they come.

        Raises:
          BadFieldError: the first thing that is wrong with it.
        """
        refuse_wide(body, self._most, len(self._schema.text) + len(self._schema.numbers))
        parsed: msgspec.Struct = _decoded(self._decoder, body, "")
        return parsed

    def arrange(self, parsed: msgspec.Struct, body: bytes | bytearray) -> Request:
        """The values of a body in columns.

        Raises:
          BadFieldError: columns of several lengths, too many candidates, a number out of range, or
            a key twice.
        """
        candidates, request_id, key, context = msgspec.structs.astuple(parsed)
        if isinstance(candidates, list):
            refuse_count(len(candidates), self._most)
            columns, fields, keys = self._rows(candidates, context)
        else:
            columns, fields, keys = self._by_column(candidates, context)
        about = (request_id, key)
        keys += 1 + len(about) - about.count(_NO_TEXT) + (context is not self._none)
        refuse_second_keys(body, keys + self._keys(context))
        request_id, key = (None if text is _NO_TEXT else text for text in about)
        return Request(request_id, key, columns, fields)

    def context(self, body: bytes) -> Context:
        """A context that stands alone.

        Raises:
          BadFieldError: the first thing that is wrong with it.
        """
        refuse_wide(body, 1, len(self._schema.text) + len(self._schema.numbers))
        features = _decoded(self._context, body, "context")
        refuse_second_keys(body, self._keys(features), "context")
        return self._shared(features)

    def _keys(self, features: Any) -> int:
        """How many features are given, null or not."""
        values = msgspec.structs.astuple(features)
        return sum(value is not _NO_NUMBER and value is not _NO_TEXT for value in values)

    def _shared(self, features: Any) -> Context:
        width = len(self._schema.numbers)
        spelt = [(value,) for value in msgspec.structs.astuple(features)]
        values = [value for (value,) in self._by_feature(spelt, lambda i: "context")]
        numbers = np.array([None if v is _NO_NUMBER else v for v in values[:width]], np.float64)
        refuse_large(
            numbers, lambda row: f"context.{self._schema.column(self._schema.numbers[row])}"
        )
        return Context(
            [v or "" for v in values[width:]],
            numbers.astype(np.float32),
        )

    def _by_feature(
        self, spelt: Sequence[Sequence[Any]], place: Callable[[int], str]
    ) -> list[Sequence[Any]]:
        """Values [features, n], numbers before text, of those by name.

        Args:
          spelt: values [names, n], absent where a feature goes by another of its names.
          place: where the features of one of the n stand.

        Raises:
          BadFieldError: a feature is there by two names.
        """
        values = []
        for first, *others in self._places:
            own = spelt[first]
            for other in others:
                own = list(own)
                for i, value in enumerate(spelt[other]):
                    if value is _NO_NUMBER or value is _NO_TEXT:
                        continue
                    if own[i] is not _NO_NUMBER and own[i] is not _NO_TEXT:
                        refuse_second(place(i), self._names[first], self._names[other])
                    own[i] = value
            values.append(own)
        return values

    def _rows(
        self, candidates: Sequence[Any], context: Any
    ) -> tuple[RawFeatures, dict[str, Sequence[str | None]], int]:
        """Features and fields, and how many keys the candidates have."""
        schema, n, width = self._schema, len(candidates), len(self._schema.numbers)
        *fields, features = zip(*map(msgspec.structs.astuple, candidates), strict=True)
        spelt = list(zip(*map(msgspec.structs.astuple, features), strict=True))
        values = self._by_feature(spelt, lambda i: f"candidates.{i}.features")
        shared = self._shared(context)
        columns = RawFeatures.empty(schema, n)
        wide = float64s(values[:width], n)
        lacking = np.isinf(wide)
        keys = n * (1 + len(FIELDS) + len(schema.numbers) + len(schema.text))
        keys -= np.count_nonzero(lacking) + sum(own is self._none for own in features)
        np.copyto(wide, shared.numbers[:, None], where=lacking)
        refuse_large(
            wide, lambda row, i: f"candidates.{i}.features.{schema.column(schema.numbers[row])}"
        )
        columns.numbers[:] = wide
        for row, (default, own) in enumerate(zip(shared.text, values[width:], strict=True)):
            if all(own):
                columns.text[row] = own
                continue
            absent = own.count(_NO_TEXT)
            keys -= absent
            if absent == n:
                columns.text[row] = default
            else:
                columns.text[row] = [default if v is _NO_TEXT else v or "" for v in own]
        given: dict[str, Sequence[str | None]] = {}
        for name, texts in zip(FIELDS, fields, strict=True):
            absent = 0 if all(texts) else texts.count(_NO_TEXT)
            keys -= absent
            if absent < n:
                given[name] = [None if v is _NO_TEXT else v for v in texts] if absent else texts
        return columns, given, keys

    def _by_column(
        self, candidates: Any, context: Any
    ) -> tuple[RawFeatures, dict[str, Sequence[str | None]], int]:
        """As `_rows`."""
        schema = self._schema
        values = dict(zip(self._columns, msgspec.structs.astuple(candidates), strict=True))
        keys = len(values) - sum(own is msgspec.UNSET for own in values.values())
        given = {column: own for column, own in values.items() if isinstance(own, list)}
        if not given:
            raise BadFieldError("candidates", "no column; wanted at least one")
        first, *others = given
        n = len(given[first])
        for column in others:
            if (seen := len(given[column])) != n:
                raise BadFieldError(
                    f"candidates.{column}", f"{seen} values; wanted {n}, as in {first!r}"
                )
        refuse_count(n, self._most)
        fields: dict[str, Sequence[str | None]] = {
            name: given.pop(name) for name in FIELDS if name in given
        }
        features = by_feature(given, self._features)
        columns = self._shared(context).repeated(schema, n)
        for row, name in enumerate(schema.text):
            if (text := features.get(name)) is not None:
                columns.text[row] = text if all(text) else [v or "" for v in text]
        sent = [(row, name) for row, name in enumerate(schema.numbers) if name in features]
        wide = float64s([features[name] for _, name in sent], n)
        refuse_large(wide, lambda row, i: f"candidates.{schema.column(sent[row][1])}.{i}")
        columns.numbers[[row for row, _ in sent]] = wide
        return columns, fields, keys


def _writable(names: dict[str, str]) -> dict[str, str]:
    return {name: feature for name, feature in names.items() if not _UNWRITABLE.search(name)}


def refuse_wide(body: bytes | bytearray, candidates: int, features: int) -> None:
    """Bounds what decoding a JSON body can build, in time linear in its bytes.

    A request of so many candidates holds at most two brackets for each, or for each column, and
    as many values as they have features and fields. A short body builds little, whatever it holds.

    Raises:
      BadFieldError: there are more brackets or values.
    """
    if len(body) <= _SHORT:
        return
    most_brackets = 2 * max(candidates, features + len(FIELDS)) + 4
    most_commas = (candidates + 1) * (features + len(FIELDS) + 1) + 4
    characters = np.frombuffer(body, np.uint8)
    # Those within strings count here too, which only few bodies have in plenty.
    if _brackets(characters) <= most_brackets and _count(characters, ",") <= most_commas:
        return
    characters = _outside_strings(body)
    if (seen := _brackets(characters)) > most_brackets:
        raise BadFieldError(
            "candidates", f"{seen} brackets in the body; wanted at most {candidates} candidates"
        )
    if (seen := _count(characters, ",")) > most_commas:
        raise BadFieldError(
            "",
            f"more than {seen} values; wanted at most {candidates} candidates of {features} "
            "features",
        )


def refuse_second_keys(body: bytes | bytearray, keys: int, root: str = "") -> None:
    """Refuses a JSON body in which an object has a key twice, of which msgspec takes the last.

    Args:
      keys: how many the decoded values have, of all objects. Every key has its colon, so that a
        body with no more colons has none twice.
      root: names the body in errors.

    Raises:
      BadFieldError: there is a key twice.
    """
    characters = np.frombuffer(body, np.uint8)
    colons = characters == ord(":")
    if np.count_nonzero(colons) == keys:
        return
    before = np.flatnonzero(colons) - 1
    # A key's colon stands behind its quote and white space, as few colons within strings do.
    for _ in range(4):
        if not (white := characters[before] <= ord(" ")).any():
            break
        before -= white
    ends = characters[before]
    if np.count_nonzero((ends == ord('"')) | (ends <= ord(" "))) == keys:
        return
    if _count(_outside_strings(body), ":") == keys:
        return
    try:
        strict_json.load(bytes(body))
    except ValueError as error:
        raise BadFieldError(root, str(error)) from None
    raise BadFieldError(root, "a key is there twice")


def _brackets(characters: npt.NDArray[np.uint8]) -> int:
    return _count(characters, "{") + _count(characters, "[")


def _count(characters: npt.NDArray[np.uint8], wanted: str) -> int:
    return int(np.count_nonzero(characters == ord(wanted)))


def _outside_strings(body: bytes | bytearray) -> npt.NDArray[np.uint8]:
    # Backslashes come in pairs but for the last of a run, which escapes what follows.
    unescaped = body.replace(rb"\\", b"__").replace(rb"\"", b"__")
    characters = np.frombuffer(unescaped, np.uint8)
    inside = np.cumsum(characters == ord('"'), dtype=np.uint8) & 1
    return characters[inside == 0]


def _struct(name: str, fields: Sequence[tuple[Any, ...]]) -> type[msgspec.Struct]:
    """A struct with fields of any name: name, type and, where it has one, default."""
    names = {f"field_{i}": field[0] for i, field in enumerate(fields)}
    own = [(own, *field[1:]) for own, field in zip(names, fields, strict=True)]
    return msgspec.defstruct(
        name, own, rename=names, forbid_unknown_fields=True, gc=False, frozen=True
    )


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes | bytearray, root: str) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise _bad_field(message, path.rstrip("`"), body, root) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFieldError(root, f"not JSON in UTF-8: {error}") from None


def _bad_field(message: str, path: str, body: bytes | bytearray, root: str) -> BadFieldError:
    """What msgspec says of a field, in the words and with the places of this service."""
    place = re.sub(r"\[(\d+)\]", r".\1", path).lstrip(".")
    if named := _NAMED.fullmatch(message):
        kind = "feature" if place.endswith(("features", "context")) or root else "field"
        kind = "column" if place == "candidates" else kind
        field = ".".join(filter(None, [root, place, named[2][:LONGEST_TEXT]]))
        return BadFieldError(field, f"unknown {kind}" if "unknown" in named[1] else "missing")
    field = ".".join(filter(None, [root, place]))
    if message == "Number out of range":
        return BadFieldError(field, OUT_OF_RANGE)
    if typed := _TYPED.fullmatch(message):
        wanted = " or ".join(_WORDS.get(word, word) for word in typed[1].split(" | "))
        kind = _WORDS.get(typed[2], typed[2])
        try:
            seen = str(_value_at(msgspec.json.decode(body), place))[:80]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # The body goes wrong again behind this field.
            return BadFieldError(field, f"{kind}; wanted {wanted}")
        return BadFieldError(field, f"{seen!r} is {kind}; wanted {wanted}")
    return BadFieldError(field, message)


def _value_at(value: Any, place: str) -> Any:
    """The value at a place such as `candidates.3.features.price`; names may hold dots."""
    while place:
        if isinstance(value, list):
            step, _, place = place.partition(".")
            value = value[int(step)]
        else:
            step = next(k for k in value if place == k or place.startswith(f"{k}."))
            value, place = value[step], place[len(step) + 1 :]
    return value
