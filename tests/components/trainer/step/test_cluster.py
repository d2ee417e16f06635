"""TF_CONFIG as those who start workers write it, and as they should not."""

import json

import pytest

from components.trainer.step.distribution import Cluster, cluster_from
from schemas.errors import InputError


def config(cluster: object, task: object = None) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


TWO = {"chief": ["c:1"], "worker": ["w:2"]}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, None),
        ({"TF_CONFIG": " "}, None),
        ({"TF_CONFIG": "{}"}, None),
        (config({"chief": ["c:1"]}, {"type": "chief", "index": 0}), None),
        (config({"worker": ["w:1"]}, {"type": "worker", "index": 0}), None),
        (config(TWO, {"type": "chief", "index": 0}), Cluster(("c:1", "w:2"), 0)),
        (config(TWO, {"type": "worker", "index": "0"}), Cluster(("c:1", "w:2"), 1)),
        (
            config({"worker": ["w:2", "w:3"], "master": ["m:1"]}, {"type": "worker", "index": 1}),
            Cluster(("m:1", "w:2", "w:3"), 2),
        ),
        (
            config(
                {"worker": ["w:1", "w:2"], "evaluator": ["e:1"]}, {"type": "worker", "index": 0}
            ),
            Cluster(("w:1", "w:2"), 0),
        ),
    ],
)
def test_workers(environment: dict[str, str], wanted: Cluster | None) -> None:
    assert cluster_from(environment) == wanted
    if wanted is not None:
        assert wanted.chief == (wanted.rank == 0)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TF_CONFIG": "{cluster"}, "TF_CONFIG: '{cluster'; wanted a JSON object"),
        ({"TF_CONFIG": "[1]"}, r"TF_CONFIG: '\[1\]'; wanted a JSON object"),
        (
            config(TWO | {"ps": ["p:1"]}, {"type": "ps", "index": 0}),
            "TF_CONFIG: cluster has ps; wanted chief and worker alone",
        ),
        (config(TWO), "TF_CONFIG: task is None; wanted one of chief 0, worker 0"),
        (config(TWO, {"type": "worker", "index": 1}), "wanted one of chief 0, worker 0"),
        (config(TWO, {"type": "evaluator", "index": 0}), "'evaluator'.*wanted one of chief 0"),
    ],
)
def test_mistakes(environment: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cluster_from(environment)
