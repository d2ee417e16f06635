"""The fuzzer's judges against faults planted in what they judge, and a few of its inputs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fuzz import documents, shards
from benchmarks.fuzz.outcomes import FAULTS, damage, outcome_of
from schemas.contract import Contract
from schemas.errors import InputError


def raises(error: Exception) -> Any:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("work", "verdict"),
    [
        (lambda: None, "accepted"),
        (raises(InputError("clicks.csv: row 3, column y: seen 2, wanted 0 or 1")), "refused"),
        (raises(InputError("row 3, column y: seen 2, wanted 0 or 1")), "unnamed"),
        (raises(InputError("clicks.csv: row 3\ncolumn y")), "unnamed"),
        (raises(ValueError("clicks.csv")), "traceback"),
        (raises(MemoryError()), "traceback"),
    ],
)
def test_how_an_input_ends_is_told_apart(work: Any, verdict: str) -> None:
    assert outcome_of("a change", "clicks.csv", work).verdict == verdict


def test_damage_is_of_the_seed_alone_and_leaves_no_file_whole() -> None:
    whole = bytes(range(256)) * 40
    for seed in range(200):
        what, changed = damage(whole, random.Random(seed))
        assert (what, changed) == damage(whole, random.Random(seed))
        # Eight bits of which two are one and the same cancel each other out once in a while.
        assert changed != whole or what.startswith("bit")


def verdicts(form: str, folder: Path, seeds: range) -> set[str]:
    found = set()
    for seed in seeds:
        place = folder / f"{form}{seed}"
        place.mkdir()
        found.add(shards.try_shard(form, seed, place).verdict)
    return found


UNREADABLE_ROWS = "ignore::pytest.PytestUnraisableExceptionWarning"
"""pyarrow's, of torn rows that are not UTF-8 (`pipeline.terminal.quiet.silence_unraisable`)."""


@pytest.mark.filterwarnings(UNREADABLE_ROWS)
@pytest.mark.parametrize("form", shards.FORMATS)
def test_a_few_broken_shards_are_no_fault(tmp_path: Path, form: str) -> None:
    assert verdicts(form, tmp_path, range(25)) == {"accepted", "refused"}


@pytest.mark.filterwarnings(UNREADABLE_ROWS)
def test_rules_that_nobody_checks_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "components.example_gen.readers.normalise.find_faults", lambda batch, contract: []
    )
    assert "nonsense" in verdicts("csv", tmp_path, range(25))


def test_errors_without_the_files_name_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless(contract: Contract, root: Path, window: object) -> None:
        raise InputError("not a file of clicks")

    monkeypatch.setattr(shards, "open_source", nameless)
    assert verdicts("csv", tmp_path, range(3)) == {"unnamed"}


@pytest.mark.parametrize("kind", documents.INPUTS)
def test_a_few_broken_documents_are_no_fault(tmp_path: Path, kind: str) -> None:
    found = {documents.try_document(kind, seed, tmp_path).verdict for seed in range(25)}
    assert "refused" in found
    assert not found & set(FAULTS)


def test_numbers_that_are_none_are_found_where_they_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, model, _ = documents.INPUTS["contract"]
    shipped = Contract.model_construct(name="x", timestamp_unit="s")
    monkeypatch.setitem(documents.INPUTS, "contract", (source, model, lambda path: shipped))
    found = {documents.try_document("contract", seed, tmp_path).verdict for seed in range(25)}
    assert "nonsense" in found
