"""The analyzed transform graph against a row-by-row oracle in Python and NumPy."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from components.transform.graph import TransformGraph, feature_spec
from components.transform.layout import FeatureLayout
from schemas.contract import Categorical, Contract, Numeric

Rows = list[dict[str, Any]]
Apply = Callable[[Rows], tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]

FARMHASH64_OF_NOTHING = 0x9AE16A3B2F90404F
"""Fingerprint64 of the empty string: the constant k2 of FarmHash's source."""


@pytest.fixture(scope="module")
def apply(
    transform_graph_dir: str,
    log_contract: Contract,
    to_examples: Callable[[Rows], list[bytes]],
) -> Apply:
    graph = TransformGraph(transform_graph_dir)

    def run(rows: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        ids, nums = graph(tf.io.parse_example(to_examples(rows), feature_spec(log_contract)))
        return ids.numpy(), nums.numpy()

    return run


def oracle_id(feature: Categorical, value: str, seen: list[str]) -> int:
    if feature.buckets is not None:
        farmhash = int(tf.strings.to_hash_bucket_fast(value, 2**63 - 1))
        return farmhash % feature.buckets
    counts = Counter(v for v in seen if v)
    kept = sorted(counts, key=lambda v: -counts[v])[: feature.vocabulary]
    return kept.index(value) if value in kept else feature.rows - 1


def oracle_number(feature: Numeric, value: float, seen: list[float]) -> float:
    def warp(x: float) -> float:
        return math.copysign(math.log1p(abs(x)), x) if feature.transform == "log1p" else x

    known = [warp(x) for x in seen if math.isfinite(x)]
    mean = np.mean(known) if known else 0.0
    if feature.transform == "identity":
        return value if math.isfinite(value) else mean
    std = np.std(known) if len(set(known)) > 1 else math.inf
    return (warp(value) - mean) / std if math.isfinite(value) else 0.0


def test_ids_match_the_oracle(apply: Apply, log_contract: Contract, log_rows: Rows) -> None:
    ids, _ = apply(log_rows)
    assert ids.dtype == np.int64
    for i, feature in enumerate(log_contract.features.categorical):
        values = [row.get(feature.name, "") for row in log_rows]
        assert ids[:, i].tolist() == [oracle_id(feature, v, values) for v in values], feature.name


def test_numbers_match_the_oracle(apply: Apply, log_contract: Contract, log_rows: Rows) -> None:
    _, nums = apply(log_rows)
    assert nums.dtype == np.float32
    numeric = log_contract.features.numeric
    assert nums.shape == (len(log_rows), 2 * len(numeric))
    for i, feature in enumerate(numeric):
        values = [float(np.float32(row.get(feature.name, math.nan))) for row in log_rows]
        wanted = [oracle_number(feature, v, values) for v in values]
        np.testing.assert_allclose(nums[:, i], wanted, atol=2e-6, rtol=2e-6, err_msg=feature.name)
        missing = [not math.isfinite(v) for v in values]
        assert nums[:, len(numeric) + i].tolist() == missing, feature.name


def test_a_rate_is_taken_by_its_logarithm(
    analyze: Callable[[Contract, Rows], str],
    to_examples: Callable[[Rows], list[bytes]],
    log_contract: Contract,
    log_rows: Rows,
) -> None:
    form = log_contract.model_dump()
    form["features"] = {
        "of_setup": False,
        "numeric": [{"name": "historical_cvr", "transform": "log"}],
    }
    contract = Contract.model_validate(form)
    assert "historical_cvr" not in contract.log_columns
    rates = [0.0, 1e-7, 1e-6, 0.003, 0.5, 1.0]
    rows = [log_rows[0] | {"historical_cvr": rate} for rate in rates]
    nothing = {k: v for k, v in log_rows[0].items() if k != "historical_cvr"}
    graph = TransformGraph(analyze(contract, rows))
    parsed = tf.io.parse_example(to_examples([*rows, nothing]), feature_spec(contract))
    _, nums = graph(parsed)
    logs = np.log([1e-6, 1e-6, 1e-6, 0.003, 0.5, 1.0])
    wanted = [*((logs - logs.mean()) / logs.std()), 0.0]
    np.testing.assert_allclose(nums[:, 0], wanted, rtol=1e-5, atol=1e-6)
    assert nums[:, 1].numpy().tolist() == [0] * len(rates) + [1]


def test_a_missing_string_is_hashed_like_any_value(apply: Apply) -> None:
    ids, _ = apply([{}])
    assert ids[0, 0] == FARMHASH64_OF_NOTHING % (2**63 - 1) % 11
    assert ids[0, 2] == FARMHASH64_OF_NOTHING % (2**63 - 1) % 10007


def test_values_out_of_the_vocabulary_share_the_last_id(apply: Apply) -> None:
    ids, _ = apply([{"user type": v} for v in ("web", "app", "tablet", "never seen")] + [{}])
    assert ids[:, 1].tolist() == [0, 1, 2, 2, 2]


def test_columns_without_variance_stay_zero_whatever_comes(apply: Apply) -> None:
    _, nums = apply([{"flat": 0.1, "flat log": 7.3}, {"flat": 1e9, "flat log": -1e9, "never": 5.0}])
    assert nums[:, 3:6].tolist() == [[0.0] * 3] * 2


def test_one_hash_op_for_all_features(transform_graph_dir: str) -> None:
    model = saved_model_pb2.SavedModel()
    with open(f"{transform_graph_dir}/transform_fn/saved_model.pb", "rb") as file:
        model.ParseFromString(file.read())
    functions = model.meta_graphs[0].graph_def.library.function
    hashes = {
        function.signature.name: sum("StringToHashBucket" in node.op for node in function.node_def)
        for function in functions
    }
    assert set(hashes.values()) == {0, 1}


@pytest.mark.parametrize("kind", ["categorical", "numeric"])
def test_a_contract_with_one_kind_of_feature(
    kind: str,
    analyze: Callable[[Contract, Rows], str],
    to_examples: Callable[[Rows], list[bytes]],
    log_contract: Contract,
    log_rows: Rows,
) -> None:
    form = log_contract.model_dump()
    form["features"] = {"of_setup": False, kind: form["features"][kind][:1]}
    contract = Contract.model_validate(form)
    graph = TransformGraph(analyze(contract, log_rows[:20]))
    ids, nums = graph(tf.io.parse_example(to_examples(log_rows[:3]), feature_spec(contract)))
    layout = FeatureLayout.from_contract(contract)
    assert ids.shape == (3, len(layout.categorical))
    assert nums.shape == (3, layout.numeric_width)
    assert (ids.dtype, nums.dtype) == (tf.int64, tf.float32)
    assert layout.input_width > 0
