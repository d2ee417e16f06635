"""Splitting keys into A/B variants."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError
from service.routing.variants import AbTest, load_experiment, point

AB = AbTest.model_validate(
    {
        "name": "mtl",
        "variants": [
            {"name": "control", "share": 0.2, "serves": "one_task"},
            {"name": "mtl", "share": 0.8, "serves": "routed"},
        ],
    }
)


def test_the_hash_is_the_documented_one() -> None:
    digest = blake2b(b"mtl/user 7", digest_size=8).hexdigest()
    assert point("mtl", "user 7") == int(f"{int(digest, 16):064b}"[:53], 2) / 2**53


@given(st.text(), st.text())
def test_points_are_in_the_unit_interval(experiment: str, key: str) -> None:
    assert 0 <= point(experiment, key) < 1


def test_shares_hold_and_experiments_are_independent() -> None:
    keys = [str(i) for i in range(20_000)]
    control = [v.name == "control" for v in AB.assign(keys)]
    other = [v.name == "control" for v in AB.model_copy(update={"name": "next"}).assign(keys)]
    # Four standard deviations of a share of 20,000 draws.
    assert sum(control) / 20_000 == pytest.approx(0.2, abs=4 * (0.2 * 0.8 / 20_000) ** 0.5)
    both = sum(a and b for a, b in zip(control, other, strict=True)) / 20_000
    assert both == pytest.approx(0.04, abs=4 * (0.04 * 0.96 / 20_000) ** 0.5)


def test_growing_an_arm_moves_no_key_out_of_it() -> None:
    wider = AB.model_copy(
        update={
            "variants": (
                AB.variants[0].model_copy(update={"share": 0.4}),
                AB.variants[1].model_copy(update={"share": 0.6}),
            )
        }
    )
    keys = [str(i) for i in range(2000)]
    before, after = AB.assign(keys), wider.assign(keys)
    kept = [b.name for a, b in zip(before, after, strict=True) if a.name == "control"]
    assert set(kept) == {"control"}
    assert sum(v.name == "control" for v in after) > len(kept)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nvariants: [{name: a, share: 0.5, serves: routed}]", "add up to 0.5; wanted 1"),
        (
            "name: x\nvariants: [{name: a, share: 0.5, serves: routed},"
            " {name: a, share: 0.5, serves: one_task}]",
            "listed twice",
        ),
        ("name: x\nvariants: [{name: a, share: 1, serves: soft}]", "variants.0.serves"),
        ("name: [", "not YAML"),
    ],
)
def test_a_bad_experiment_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "ab.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        load_experiment(file)
