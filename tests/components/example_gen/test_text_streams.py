"""What no reader may pass over: a NUL anywhere, and a compressed file that is damaged anywhere."""

from __future__ import annotations

import bz2
import gzip
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from components.example_gen.readers.plain import open_source
from components.example_gen.readers.source import Window
from components.example_gen.readers.text import open_text, text_stream
from labs.ab_report.read import read_outcome
from labs.first_look.sample import find_files, read_sample
from schemas.contract import Contract
from schemas.errors import InputError

LINES = [f"{1_483_272_000 + i},{i % 2},shop {i}\n" for i in range(3000)]
HEAD = "time,label,shop\n"
TEXT = HEAD + "".join(LINES)
FAR = len(TEXT) - 3
WINDOW = Window(date(2017, 1, 1), date(2017, 1, 3))


def packed(kind: str) -> Callable[[bytes], bytes]:
    def pack(data: bytes) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, kind) as stream:
            stream.write(data)
        return sink.getvalue().to_pybytes()

    return pack


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": packed("zstd"),
    ".lz4": packed("lz4"),
}


def ingest(path: Path) -> int:
    terms = Contract.model_validate(
        {
            "name": "text",
            "description": "rows written by hand",
            "input": {"format": "csv", "pattern": path.name},
            "attribution_window_days": 1,
            "roles": {"timestamp": "time", "label": "label", "setup": ["shop"]},
            "features": {"categorical": [{"name": "shop", "buckets": 10}]},
        }
    )
    source = open_source(terms, path.parent, WINDOW)
    return sum(batch.num_rows for shard in source.shards() for batch in source.read(shard))


def first_look(path: Path) -> int:
    return read_sample(find_files([path])).rows


READERS = {"ingest": ingest, "init": first_look}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("ending", ["", *PACKERS])
def test_a_nul_anywhere_is_named(tmp_path: Path, reader: str, ending: str) -> None:
    path = tmp_path / f"clicks.csv{ending}"
    pack = PACKERS.get(ending, bytes)
    path.write_bytes(pack(TEXT.encode()))
    assert READERS[reader](path) == len(LINES)
    path.write_bytes(pack(TEXT[:FAR].encode() + b"\0" + TEXT[FAR:].encode()))
    with pytest.raises(InputError, match=rf"{re.escape(path.name)}: a NUL at byte {FAR} of the"):
        READERS[reader](path)


def test_a_nul_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes((TEXT[:FAR] + "\0" + TEXT[FAR:]).encode("utf-16"))
    with pytest.raises(InputError, match="a NUL"), open_text(str(path), "utf-16") as file:
        file.read()


def test_a_nul_in_an_outcome_is_named(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    rows = [f"s{i},{side},1,1\n" for i in range(400) for side in ("control", "mtl")]
    text = "setup,variant,spend,conversions\n" + "".join(rows)
    path.write_text(text)
    assert len(read_outcome(path, "control")) == 400
    path.write_text(text.replace("s399,mtl,1,1", "s399,mtl,1\0,1"))
    with pytest.raises(InputError, match=f"a NUL at byte {len(text) - 3} of the text"):
        read_outcome(path, "control")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("share", [0.3, 0.999])
def test_a_damaged_file_is_said_to_be(
    tmp_path: Path, reader: str, ending: str, share: float
) -> None:
    path = tmp_path / f"clicks.csv{ending}"
    whole = PACKERS[ending](TEXT.encode())
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=rf"csv{ending}: the compressed file is damaged: "):
        READERS[reader](path)


def test_the_place_counts_over_all_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 10 + b"\0" + b"x" * 10)
    with text_stream(str(path)) as stream:
        assert [stream.read(4), stream.read(4)] == [b"xxxx"] * 2
        with pytest.raises(InputError, match="a NUL at byte 10 "):
            stream.read(4)
