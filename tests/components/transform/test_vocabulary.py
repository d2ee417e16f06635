from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.transform.graph import TransformGraph, feature_spec
from schemas.contract import Contract

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def contract(log_contract: Contract) -> Contract:
    form = log_contract.model_dump()
    form["features"] = {
        "of_setup": False,
        "categorical": [
            {"name": "first", "vocabulary": 3},
            {"name": "second", "vocabulary": 2},
            {"name": "empty", "vocabulary": 4},
        ],
    }
    return Contract.model_validate(form)


@pytest.fixture(scope="module")
def graph_dir(contract: Contract, analyze: Callable[[Contract, Rows], str]) -> str:
    first = ["a"] * 2 + ["tab\tand\nline"] * 9 + ["b"] * 2 + ["c"] * 3 + ["rare"]
    second = ["c"] * 8 + ["a"] * 6 + ["b"] * 3
    return analyze(
        contract, [{"first": x, "second": y} for x, y in zip(first, second, strict=True)]
    )


@pytest.mark.parametrize(
    ("row", "ids"),
    [
        ({"first": "tab\tand\nline", "second": "c"}, [0, 0, 4]),
        ({"first": "c", "second": "a"}, [1, 1, 4]),
        ({"first": "b", "second": "b"}, [2, 2, 4]),
        ({"first": "a"}, [3, 2, 4]),
        ({"first": "rare", "second": "tab\tand\nline", "empty": "c"}, [3, 2, 4]),
    ],
    ids=["most frequent", "next", "greater string of a tie", "cut off", "other features' values"],
)
def test_ids_go_by_frequency_within_the_feature(
    row: dict[str, Any],
    ids: list[int],
    contract: Contract,
    graph_dir: str,
    to_examples: Callable[[Rows], list[bytes]],
) -> None:
    graph = TransformGraph(graph_dir)
    found, _ = graph(tf.io.parse_example(to_examples([row]), feature_spec(contract)))
    assert found.numpy().tolist() == [ids]


def test_the_asset_lists_values_with_their_counts(graph_dir: str) -> None:
    (asset,) = Path(graph_dir, "transform_fn", "assets").iterdir()
    lines = [line.split("\t")[1:] for line in asset.read_text().splitlines()]
    assert lines == [
        ["0", "0", "9", r"b'tab\tand\nline'"],
        ["1", "0", "3", "b'c'"],
        ["2", "0", "2", "b'b'"],
        ["0", "1", "8", "b'c'"],
        ["1", "1", "6", "b'a'"],
    ]


def test_a_feature_that_is_always_missing(
    contract: Contract,
    analyze: Callable[[Contract, Rows], str],
    to_examples: Callable[[Rows], list[bytes]],
) -> None:
    form = contract.model_dump()
    form["features"]["categorical"] = form["features"]["categorical"][2:]
    alone = Contract.model_validate(form)
    graph = TransformGraph(analyze(alone, [{}] * 3))
    rows = [{}, {"empty": "now it has a value"}]
    ids, _ = graph(tf.io.parse_example(to_examples(rows), feature_spec(alone)))
    assert ids.numpy().tolist() == [[4], [4]]
