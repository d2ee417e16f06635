"""Rows of files of which nothing is known but that they are a log."""

from __future__ import annotations

import codecs
import csv
import glob
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from common.arrays import Ints
from common.files.arrow import UNREADABLE, parquet_batches, parquet_file
from components.example_gen.readers.head import (
    check_columns,
    check_compression,
    check_text,
    is_log_file,
)
from components.example_gen.readers.plain import open_text, text_stream
from schemas.contract import CsvFormat
from schemas.errors import InputError

SAMPLE_ROWS = 200_000
"""Rows that are kept at least, where there are as many, chosen by chance."""
MOST_BYTES = 4 << 30
"""Of files that are read; of a larger log, files spread evenly over it."""
BATCH_ROWS = 65_536
DIALECT_LINES = 50
HEAD_BYTES = 4 << 20
"""Of text, by which its encoding is told."""
DIGITS = "0123456789"
NULLS = ("", "NULL", "null", r"\N", "NA", "N/A", "None", "NaN", "nan")
"""Texts that stand for no value in one program's files or another's."""

_ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
}
_PACKED = (".gz", ".zst", ".bz2", ".lz4")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)(\D?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True)
class Files:
    """A log's files.

    Attributes:
      form: `parquet`, `csv` or `tfrecord`.
      root: folder that holds them all.
      pattern: glob below the root; of daily partitions where `days` is not empty.
      days: of each file, as its path has it; empty when the paths name no days.
      csv: layout of text.
      named: whether the columns' names come from the files.
    """

    form: str
    paths: tuple[Path, ...]
    root: Path
    pattern: str
    days: tuple[str, ...]
    csv: CsvFormat
    named: bool


@dataclass(frozen=True)
class Sample:
    """Rows chosen by chance, all columns as the files have them.

    Attributes:
      rows: read; all of the log's unless `whole` is false.
      file_of_row: int64 [n], place in `Files.paths` of each row's file.
      nulls: of text, the words of `NULLS` that were taken for no value: rows by column and word.
    """

    table: pa.Table
    rows: int
    whole: bool
    file_of_row: Ints
    nulls: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def find_files(places: Sequence[Path]) -> Files:
    """The files of a log.

    Args:
      places: files, or folders with files of one kind anywhere below.

    Raises:
      InputError: there is none, or they are of several formats.
    """
    paths = tuple(sorted(itertools.chain.from_iterable(map(_below, places))))
    kinds = {path: _format_of(path) for path in paths}
    if len(forms := sorted(set(kinds.values()))) > 1:
        shown = ", ".join(f"{next(p for p in paths if kinds[p] == k)} is {k}" for k in forms)
        raise InputError(f"files of several formats: {shown}; wanted the log's own files alone")
    root = Path(os.path.commonpath([path.parent for path in paths]))
    pattern, days = _pattern([str(path.relative_to(root)) for path in paths])
    layout, named = _dialect(paths) if forms[0] == "csv" else (CsvFormat(), True)
    return Files(forms[0], paths, root, pattern, days, layout, named)


def _below(place: Path) -> list[Path]:
    if place.is_file():
        if place.stat().st_size == 0:
            raise InputError(f"{place}: the file is empty; wanted at least one row")
        return [place]
    if not place.is_dir():
        raise InputError(f"{place}: no such file or folder")
    files = [
        path
        for path in place.rglob("*")
        if _ending(path) in _ENDINGS
        and not any(part.startswith((".", "_")) for part in path.relative_to(place).parts)
        and is_log_file(path, folders=True)
        and path.stat().st_size
    ]
    if not files:
        raise InputError(f"{place}: no file below that ends in one of {', '.join(_ENDINGS)}")
    return files


def _ending(path: Path) -> str:
    suffixes = path.suffixes
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return suffixes[-1].lower() if suffixes else ""


def _format_of(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return "parquet"
    if ".tfrecord" in path.name:
        return "tfrecord"
    return _ENDINGS.get(_ending(path), "csv")


def _pattern(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """A glob of files, with the day's marks where each file's path has one day in one place."""
    places = [list(_DAY.finditer(name)) for name in names]
    if len(names) > 1 and all(len(days) == 1 for days in places):
        day = [days[0] for days in places]
        marks = {f"{{YYYY}}{m[2]}{{MM}}{m[2]}{{DD}}" for m in day}
        if len(marks) == 1:
            marked = [
                name[: m.start()] + next(iter(marks)) + name[m.end() :]
                for name, m in zip(names, day, strict=True)
            ]
            return _glob(marked), tuple(f"{m[1]}-{m[3]}-{m[4]}" for m in day)
    return _glob(names), ()


def _glob(names: Sequence[str]) -> str:
    """The narrowest glob of a kind that finds all of them: parts that differ become `*`."""
    parts = [name.split("/") for name in names]
    if len({len(p) for p in parts}) > 1:
        return f"**/*{glob.escape(_common([name[::-1] for name in names])[::-1])}"
    return "/".join(_alike(level) for level in zip(*parts, strict=True))


def _alike(texts: Sequence[str]) -> str:
    if len(set(texts)) == 1:
        return glob.escape(texts[0])
    start = _common(texts)
    end = _common([text[len(start) :][::-1] for text in texts])[::-1]
    return f"{glob.escape(start.rstrip(DIGITS))}*{glob.escape(end.lstrip(DIGITS))}"


def _common(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    alike = itertools.takewhile(lambda letters: len({*letters}) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in alike)


def _dialect(paths: Sequence[Path]) -> tuple[CsvFormat, bool]:
    """Layout of text, and whether its first line names the columns.

    Raises:
      InputError: the lines are no table.
    """
    path, encoding = paths[0], _encoding(paths)
    check_text(str(path), encoding)
    with _one_line(path, encoding), open_text(str(path), encoding) as file:
        lines = list(itertools.islice(file, DIALECT_LINES))
    best: tuple[int, str, list[list[str]]] = (1, ",", [])
    for delimiter in ",\t;|":
        with _one_line(path, encoding):
            rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        widths = {len(row) for row in rows}
        if len(widths) == 1 and (width := widths.pop()) > best[0]:
            best = (width, delimiter, rows)
    width, delimiter, rows = best
    if not rows:
        raise InputError(
            f"{path}: no delimiter of , tab ; | gives each of the first {len(lines)} lines as many "
            "values; wanted a table of text"
        )
    names = _is_header(rows[0], rows[1:])
    columns = () if names else tuple(f"column_{i}" for i in range(1, width + 1))
    return CsvFormat(delimiter=delimiter, columns=columns, encoding=encoding), names


def _is_header(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether a table's first line names its columns: it has words above most columns of amounts.

    Where no column is of amounts: whether it has no amount itself, and no word twice.
    """
    below = [[cell for cell in column if cell not in NULLS] for column in zip(*others, strict=True)]
    amounts = [i for i, column in enumerate(below) if column and all(map(_is_amount, column))]
    if not amounts:
        return not any(map(_is_amount, first)) and len({*first}) == len(first)
    words = [i for i in amounts if first[i] not in NULLS and not _is_amount(first[i])]
    return 2 * len(words) > len(amounts)


@contextmanager
def _one_line(path: Path, encoding: str) -> Iterator[None]:
    """Ends what text that cannot be read raises as an `InputError`."""
    try:
        yield
    except UnicodeError as error:
        raise InputError(f"{path}: not text in {encoding}: {error}") from error
    except (pa.ArrowException, OSError, EOFError, KeyError, csv.Error) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())[:300]}") from error


def _encoding(paths: Sequence[Path]) -> str:
    """UTF-8 where all is, by the first and the last file's beginnings; else what Windows writes."""
    for path in {paths[0], paths[-1]}:
        with _one_line(path, "utf-8"), text_stream(str(path)) as stream:
            head = stream.read(HEAD_BYTES)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            codecs.getincrementaldecoder("utf-8")().decode(head)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _is_amount(text: str) -> bool:
    """Whether a cell is a number, or a date."""
    if _DAY.match(text):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_sample(files: Files) -> Sample:
    """Reads the files once and keeps rows by chance, the same ones each time.

    Raises:
      InputError: a file cannot be read, or there is no row.
    """
    chosen = _spread(files.paths)
    rng = np.random.default_rng(0)
    parts: list[pa.Table] = []
    share, rows, kept = 1.0, 0, 0
    for number in chosen:
        for batch in _batches(files, files.paths[number]):
            rows += batch.num_rows
            part = _thinned(_with_file(batch, number), share, rng)
            parts.append(part)
            kept += part.num_rows
            if kept > 2 * SAMPLE_ROWS:
                parts, share = [_thinned(part, 0.5, rng) for part in parts], share / 2
                kept = sum(part.num_rows for part in parts)
    if not rows:
        raise InputError(f"{files.paths[0]}: no row in this file or any other")
    table = _together(parts)
    of_file = table[_FILE].to_numpy().astype(np.int64)
    table, nulls = table.drop([_FILE]), {}
    if files.form == "csv":
        nulls = {name: _words_for_none(table[name]) for name in table.schema.names}
        none = pa.array(NULLS)
        table = pa.table({n: pc.if_else(pc.is_in(table[n], none), None, table[n]) for n in nulls})
    return Sample(table, rows, len(chosen) == len(files.paths), of_file, nulls)


def _words_for_none(column: pa.ChunkedArray) -> dict[str, int]:
    found = pc.value_counts(column.filter(pc.is_in(column, pa.array(NULLS))))
    return dict(zip(*(found.field(i).to_pylist() for i in (0, 1)), strict=True))


_FILE = "\0file"


def _with_file(batch: pa.RecordBatch, number: int) -> pa.Table:
    names = [*batch.schema.names, _FILE]
    return pa.table([*batch.columns, pa.array(np.full(batch.num_rows, number))], names)


def _spread(paths: Sequence[Path]) -> list[int]:
    """Numbers of the files that are read, the first and the last among them."""
    total = sum(path.stat().st_size for path in paths)
    fewer = max(2, int(len(paths) * MOST_BYTES / max(total, 1)))
    if fewer >= len(paths):
        return list(range(len(paths)))
    return sorted({*np.linspace(0, len(paths) - 1, fewer).astype(int).tolist()})


def _thinned(table: pa.Table, share: float, rng: np.random.Generator) -> pa.Table:
    return table if share == 1 else table.filter(pa.array(rng.random(table.num_rows) < share))


def _together(parts: Sequence[pa.Table]) -> pa.Table:
    """One table; a column of several types becomes text, one that a file lacks null."""
    names = list(dict.fromkeys(name for part in parts for name in part.schema.names))
    kinds: dict[str, set[pa.DataType]] = {name: set() for name in names}
    for part in parts:
        for one in part.schema:
            if not pa.types.is_null(one.type):
                kinds[one.name].add(one.type)

    def column(part: pa.Table, name: str) -> pa.ChunkedArray:
        one = next(iter(kinds[name])) if len(kinds[name]) == 1 else pa.string()
        if name not in part.schema.names:
            return pa.chunked_array([pa.nulls(part.num_rows, one)])
        return part[name].cast(one)

    whole = [pa.table([column(part, n) for n in names], names) for part in parts]
    return pa.concat_tables(whole).combine_chunks()


def _batches(files: Files, path: Path) -> Iterator[pa.RecordBatch]:
    """The file's rows, columns that are there once, text without a type of its own."""
    if files.form == "parquet":
        try:
            file = parquet_file(str(path))
            names = _usable(path, file.schema_arrow.names)
        except UNREADABLE as error:
            raise InputError(f"{path}: not a Parquet file: {error}") from error
        yield from parquet_batches(str(path), file, names, BATCH_ROWS)
    elif files.form == "csv":
        yield from _text_batches(path, files.csv)
    else:
        yield from _example_batches(path)


def _usable(path: Path, names: Sequence[str]) -> list[str]:
    """Names of columns, without the empty ones.

    Raises:
      InputError: a name that no contract can say which column it is of: one that is there twice,
        or has a line break or another control character in it.
    """
    named = [name for name in names if name]
    check_columns(str(path), named, list(dict.fromkeys(named)))
    if odd := [name for name in named if _CONTROL.search(name)]:
        raise InputError(
            f"{path}: column {odd[0]!r} has a line break or another control character in its name; "
            "wanted one without"
        )
    return named


def _text_batches(path: Path, form: CsvFormat) -> Iterator[pa.RecordBatch]:
    check_text(str(path), form.encoding)
    if form.columns:
        names = list(form.columns)
    else:
        with _one_line(path, form.encoding), open_text(str(path), form.encoding) as file:
            names = next(csv.reader(file, delimiter=form.delimiter), [])
    wanted = _usable(path, names)
    with (
        _one_line(path, form.encoding),
        pc_csv.open_csv(
            text_stream(str(path), form.encoding),
            read_options=pc_csv.ReadOptions(
                use_threads=False, column_names=list(form.columns) or None
            ),
            parse_options=pc_csv.ParseOptions(
                delimiter=form.delimiter,
                newlines_in_values=True,
                # How many rows are broken, `hardtower check` says.
                invalid_row_handler=lambda row: "skip",
            ),
            convert_options=pc_csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.binary()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        ) as reader,
    ):
        for batch in reader:
            yield pa.RecordBatch.from_arrays([_decoded(c) for c in batch.columns], wanted)


def _decoded(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        raw = column.to_pylist()
        return pa.array([None if v is None else v.decode(errors="replace") for v in raw])


def _example_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Features of one value as columns; those of several stay lists."""
    from components.example_gen.readers.tfrecord import decoded_examples

    check_compression(str(path))
    for decoded in decoded_examples(str(path)):
        columns = [_scalar(column) for column in decoded.columns]
        yield pa.RecordBatch.from_arrays(columns, _usable(path, decoded.schema.names))


def _scalar(column: pa.Array) -> pa.Array:
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        return column
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    if (lengths > 1).any():
        return column
    places = np.cumsum(lengths) - 1
    flat = column.flatten().take(pa.array(places, mask=lengths == 0, type=pa.int64()))
    return (
        _decoded(flat.cast(pa.binary()))
        if pa.types.is_large_binary(flat.type)
        else (_decoded(flat) if pa.types.is_binary(flat.type) else flat)
    )
