"""What a request costs within a model process, stage by stage, and the models' calls alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

CALLS = 200
BOUNDS, PARSING, COLUMNS, ROUTING = "bounds", "parsing and validation", "columns", "routing"
GRAPH, ANSWER = "graph", "answer"
STAGES = (BOUNDS, PARSING, COLUMNS, ROUTING, GRAPH, ANSWER)
ALONE = "SavedModel calls on tf.Examples"
"""`serving_default` of both models on the request's candidates, each on its own."""
OTHER_BITS = "candidates whose probability has other bits than `serving_default`'s"


def stage_times(serving: str, bodies: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """CPU milliseconds of each stage, medians of `CALLS`; and `OTHER_BITS`.

    Args:
      serving: folder of one version.
      bodies: files of requests by their number of candidates.
    """
    import service.workers.preload  # noqa: F401, I001  As in a model process.
    import numpy as np
    import tensorflow as tf

    from common.versions.folder import ServingFolder
    from common.versions.reference import ONE_TASK_DIRECTORY
    from common.versions.signatures import SERVING_DEFAULT
    from service import predict
    from service.decoding.json_body import JsonDecoder, refuse_wide
    from service.routing.router import HARD_TOWER_MODEL, ONE_TASK_MODEL, Router
    from service.settings import ServeSettings
    from service.workers.worker import open_predictor

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    folder = ServingFolder(Path(serving))
    newest = folder.newest()
    assert newest is not None
    settings = ServeSettings(serving_dir=folder.root)
    predictor = open_predictor(settings, newest.number, newest.path, None)
    bundle = predictor.bundle
    decoder = JsonDecoder(bundle.schema, settings.max_candidates)
    width = len(bundle.schema.text) + len(bundle.schema.numbers)
    router = Router(bundle.table)
    scorers: dict[str, Any] = {
        HARD_TOWER_MODEL: bundle.models.hard,
        ONE_TASK_MODEL: bundle.models.one_task,
    }
    paths = {HARD_TOWER_MODEL: Path(), ONE_TASK_MODEL: Path(ONE_TASK_DIRECTORY)}
    loaded = {n: tf.saved_model.load(str(newest.path / p)) for n, p in paths.items()}
    from_examples = {n: model.signatures[SERVING_DEFAULT] for n, model in loaded.items()}
    by_size = {}
    for size, file in bodies.items():
        body = Path(file).read_bytes()
        parsed = decoder.parse(body)
        request = decoder.arrange(parsed)
        ids = [setup or "" for setup in request.field("setup_id")]
        model = router.route(ids).model
        parts = [
            (scorers[name], from_examples[name], np.flatnonzero(model == name))
            for name in scorers
            if (model == name).any()
        ]
        columns = [(scorer, request.columns.take(rows)) for scorer, _, rows in parts]
        examples = [
            (call, tf.constant(_examples(bundle.schema, own)))
            for (_, call, _), (_, own) in zip(parts, columns, strict=True)
        ]
        whole = predict.answer(request, predictor._loaded, None)
        stages: dict[str, Callable[[], object]] = {
            BOUNDS: partial(refuse_wide, body, settings.max_candidates, width),
            PARSING: partial(decoder.parse, body),
            COLUMNS: partial(decoder.arrange, parsed),
            ROUTING: partial(router.route, ids),
            GRAPH: partial(_each, [partial(scorer.score, own) for scorer, own in columns]),
            ANSWER: partial(_answered, whole),
            ALONE: partial(_each, [partial(_called, call, own) for call, own in examples]),
        }
        times = {name: _cpu_ms(stage) for name, stage in stages.items()}
        times[PARSING] -= times[BOUNDS]
        times[OTHER_BITS] = sum(
            int((scorer.score(own) != _called(call, serialized)[0]).sum())
            for (scorer, own), (call, serialized) in zip(columns, examples, strict=True)
        )
        by_size[size] = times
    return by_size


def decoder_times(serving: str, bodies: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """CPU milliseconds from a body of rows to columns, by decoder; medians of `CALLS`.

    `pydantic` only validates the described body, and makes no columns of it.
    """
    import orjson

    from common.versions.folder import ServingFolder
    from service.decoding.json_body import JsonDecoder
    from service.http.messages import PredictRequest
    from service.models.saved_model import read_schema

    newest = ServingFolder(Path(serving)).newest()
    assert newest is not None
    schema = read_schema(newest.path)
    decoder = JsonDecoder(schema, 1000)
    by_size = {}
    for size, file in bodies.items():
        body = Path(file).read_bytes()
        by_size[size] = {
            "msgspec": _cpu_ms(partial(decoder.decode, body)),
            "orjson and numpy": _cpu_ms(partial(_by_orjson, orjson.loads, schema, body)),
            "pydantic": _cpu_ms(partial(PredictRequest.model_validate_json, body)),
        }
    return by_size


def _by_orjson(loads: Callable[[bytes], Any], schema: Any, body: bytes) -> list[Any]:
    """Columns of dictionaries, types checked column by column."""
    import numpy as np

    request = loads(body)
    rows = [candidate["features"] for candidate in request["candidates"]]
    columns: list[Any] = []
    for names, kinds in ((schema.text, {str}), (schema.numbers, {int, float})):
        for name in names:
            shared = request["context"].get(name)
            values = [row.get(name, shared) for row in rows]
            if not (kinds | {type(None)}).issuperset(map(type, values)):
                raise ValueError(name)
            columns.append(values if str in kinds else np.array(values, np.float64))
    return columns


def _examples(schema: Any, columns: Any) -> list[bytes]:
    """The candidates as serialized tf.Examples; missing values are left out."""
    import numpy as np
    import tensorflow as tf

    made = []
    for i in range(columns.numbers.shape[1]):
        example = tf.train.Example()
        feature = example.features.feature
        for row, name in enumerate(schema.text):
            if value := columns.text[row, i]:
                feature[name].bytes_list.value.append(value.encode())
        for row, name in enumerate(schema.numbers):
            if not np.isnan(value := columns.numbers[row, i]):
                feature[name].float_list.value.append(value)
        made.append(example.SerializeToString())
    return made


def _answered(answer: Any) -> bytes:
    from service.predictor import to_json, ways_of

    return to_json(answer, ways_of(answer), None)


def _each(calls: list[Callable[[], object]]) -> None:
    for call in calls:
        call()


def _called(signature: Any, examples: Any) -> list[Any]:
    return [answer.numpy() for answer in signature(examples=examples).values()]


def _cpu_ms(stage: Callable[[], object]) -> float:
    for _ in range(10):
        stage()
    spent = []
    for _ in range(CALLS):
        began = time.process_time_ns()
        stage()
        spent.append((time.process_time_ns() - began) / 1e6)
    return median(spent)
