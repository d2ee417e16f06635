"""Serving graphs called by their signatures, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from common.clicks.tfrecords import read_batches, shard_files
from components.evaluator.scores.scorer import GraphScorer, ModelError
from components.evaluator.verdict.baseline import why_unusable
from schemas.contract import Contract, parse_contract

from .conftest import CONTRACT, Log, TinyModel, probability


@pytest.fixture(scope="module")
def records(shards: Path) -> list[bytes]:
    return next(read_batches(shard_files(str(shards))[0], 50))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model")
    TinyModel(1.0, -3.0).save(path)
    return str(path)


def constant(path: Path, value: float, name: str = "probability", column: bool = False) -> str:
    """A model that answers one value."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def answer(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        filled = tf.fill(tf.shape(examples), value)
        return {name: filled[:, None] if column else filled}

    module.answer = answer
    tf.saved_model.save(module, str(path), {"serving_default": answer.get_concrete_function()})
    return str(path)


def test_scores(model: str, records: list[bytes], log: Log) -> None:
    scores = GraphScorer("candidate", model)(records)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, probability(log, 1.0, -3.0)[:50], rtol=1e-5)


def test_tells_what_it_reads(model: str) -> None:
    assert GraphScorer("candidate", model).raw_inputs == {"ad": tf.string, "price": tf.float32}


def test_column_names_survive_the_signature(tmp_path: Path) -> None:
    TinyModel(1.0, -3.0, price="price.net").save(tmp_path)
    assert GraphScorer("candidate", str(tmp_path)).raw_inputs == {
        "ad": tf.string,
        "price.net": tf.float32,
    }


def test_a_missing_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model one_task: .*nowhere cannot be loaded") as caught:
        GraphScorer("one_task", str(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)


def test_another_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"to \['hard'\]; wanted from 'examples' to 'probability'"):
        GraphScorer("candidate", constant(tmp_path, 0.5, "hard"))


def test_no_serving_signature(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(ModelError, match="has no signature 'serving_default'"):
        GraphScorer("candidate", str(tmp_path))


@pytest.mark.parametrize("value", [1.5, -0.25])
def test_no_probability(tmp_path: Path, value: float) -> None:
    with pytest.raises(ModelError, match=rf"probability is {value}, wanted within \[0, 1\]"):
        GraphScorer("candidate", constant(tmp_path, value))([b"", b""])


def test_wrong_shape(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has shape \(2, 1\), wanted \(2,\)"):
        GraphScorer("candidate", constant(tmp_path, 0.5, column=True))([b"", b""])


def test_nan_is_passed_on(tmp_path: Path) -> None:
    assert np.isnan(GraphScorer("candidate", constant(tmp_path, math.nan))([b""])).all()


def test_records_that_are_no_examples(model: str) -> None:
    with pytest.raises(ModelError, match="model candidate refuses the examples") as caught:
        GraphScorer("candidate", model)([b"no example"])
    assert "\n" not in str(caught.value)


def test_usable_baseline(model: str, contract: Contract, records: list[bytes]) -> None:
    assert why_unusable(model, contract, records) is None


def test_baseline_that_reads_a_column_no_more(
    tmp_path: Path, contract: Contract, records: list[bytes]
) -> None:
    TinyModel(1.0, -3.0, price="cost").save(tmp_path)
    assert why_unusable(str(tmp_path), contract, records) == (
        "it reads 'cost' as float32, which the contract does not have"
    )


def test_baseline_that_reads_the_historical_cvr(
    tmp_path: Path, contract: Contract, records: list[bytes]
) -> None:
    """The task labeller appends it to every example, whatever the contract lists."""
    TinyModel(1.0, -3.0, price="historical_cvr").save(tmp_path)
    assert why_unusable(str(tmp_path), contract, records) is None


def test_baseline_that_reads_another_type(model: str, records: list[bytes]) -> None:
    retyped = CONTRACT.replace("ad, buckets: 8}", "ad, buckets: 8}, {name: price, buckets: 8}")
    retyped = retyped.replace("numeric: [{name: price, transform: identity}]", "numeric: []")
    assert why_unusable(model, parse_contract(retyped), records) == (
        "it reads 'price' as float32, which the contract has as string"
    )


def test_baseline_that_cannot_be_loaded(tmp_path: Path, contract: Contract) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"half a model")
    reason = why_unusable(str(tmp_path), contract, [b""])
    assert reason is not None
    assert "cannot be loaded" in reason
    assert "\n" not in reason
