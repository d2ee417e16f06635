"""What a request costs within a model process, stage by stage, and the models' calls alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from service.routing.router import HARD_TOWER_MODEL as HARD
from service.routing.router import ONE_TASK_MODEL as ONE_TASK

CALLS = 200
BLOCK_CALLS = 40
BOUNDS, PARSING, COLUMNS, ROUTING = "bounds", "parsing and validation", "columns", "routing"
GRAPH, ANSWER = "graph", "answer"
STAGES = (BOUNDS, PARSING, COLUMNS, ROUTING, GRAPH, ANSWER)
ALONE = "SavedModel calls on tf.Examples"
"""`serving_default` of both models on the request's candidates, each on its own."""
OTHER_BITS = "candidates whose probability has other bits than `serving_default`'s"


class Stages:
    """Runs each stage on its own; a contestant of `benchmarks.turns`."""

    def __init__(self, serving: str, bodies: Mapping[str, str]) -> None:
        """
        Args:
          serving: folder of one version.
          bodies: files of requests by their number of candidates.
        """
        import service.workers.preload  # noqa: F401, I001  As in a model process.
        import tensorflow as tf

        from common.versions.folder import ServingFolder
        from common.versions.reference import ONE_TASK_DIRECTORY
        from common.versions.signatures import SERVING_DEFAULT
        from service.settings import ServeSettings
        from service.workers.worker import open_predictor

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        folder = ServingFolder(Path(serving))
        newest = folder.newest()
        assert newest is not None
        settings = ServeSettings(serving_dir=folder.root)
        self._predictor = open_predictor(settings, newest.number, newest.path, None)
        paths = {HARD: newest.path, ONE_TASK: newest.path / ONE_TASK_DIRECTORY}
        self._loaded = {n: tf.saved_model.load(str(path)) for n, path in paths.items()}
        self._from_examples = {n: m.signatures[SERVING_DEFAULT] for n, m in self._loaded.items()}
        stages = {size: self._stages(Path(file).read_bytes()) for size, file in bodies.items()}
        self._stages_of = {size: calls for size, (calls, _) in stages.items()}
        self._other_bits = {key_of(size, OTHER_BITS): n for size, (_, n) in stages.items()}

    def block(self) -> dict[str, float]:
        """CPU milliseconds of each stage by `key_of`, medians; and `OTHER_BITS`."""
        found: dict[str, float] = dict(self._other_bits)
        for size, stages in self._stages_of.items():
            times = {name: _cpu_ms(stage, BLOCK_CALLS) for name, stage in stages.items()}
            times[PARSING] -= times[BOUNDS]
            found |= {key_of(size, name): spent for name, spent in times.items()}
        return found

    def _stages(self, body: bytes) -> tuple[dict[str, Callable[[], object]], int]:
        """The stages of a request as calls, and how many probabilities have other bits."""
        import numpy as np
        import tensorflow as tf

        from service import predict
        from service.decoding.json_body import JsonDecoder, refuse_wide
        from service.routing.candidates import candidates_of
        from service.routing.router import Decisions, Router

        predictor, bundle = self._predictor, self._predictor.bundle
        most = predictor.settings.max_candidates
        decoder = JsonDecoder(bundle.schema, most)
        width = len(bundle.schema.text) + len(bundle.schema.numbers)
        router = Router(bundle.table)
        scorers: dict[str, Any] = {HARD: bundle.models.hard, ONE_TASK: bundle.models.one_task}
        parsed = decoder.parse(body)
        request = decoder.arrange(parsed, body)

        def routed() -> Decisions:
            said = candidates_of(request, bundle.schema, bundle.table.settings)
            return router.route(said.setup_ids, said.categories, said.advertiser_types)

        model = routed().model
        parts = {n: np.flatnonzero(model == n) for n in scorers if (model == n).any()}
        columns = [(scorers[n], request.columns.take(rows)) for n, rows in parts.items()]
        examples = [
            (self._from_examples[n], tf.constant(_examples(bundle.schema, own)))
            for n, (_, own) in zip(parts, columns, strict=True)
        ]
        whole = predict.answer(request, predictor._loaded, None)
        other_bits = sum(
            int((scorer.score(own) != _called(call, serialized)[0]).sum())
            for (scorer, own), (call, serialized) in zip(columns, examples, strict=True)
        )
        return {
            BOUNDS: partial(refuse_wide, body, most, width),
            PARSING: partial(decoder.parse, body),
            COLUMNS: partial(decoder.arrange, parsed, body),
            ROUTING: routed,
            GRAPH: partial(_each, [partial(scorer.score, own) for scorer, own in columns]),
            ANSWER: partial(_answered, whole),
            ALONE: partial(_each, [partial(_called, call, own) for call, own in examples]),
        }, other_bits


def key_of(size: str | int, stage: str) -> str:
    """Name of a stage's figure in a block."""
    return f"{size} {stage}"


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


def _cpu_ms(stage: Callable[[], object], calls: int = CALLS) -> float:
    for _ in range(10):
        stage()
    spent = []
    for _ in range(calls):
        began = time.process_time_ns()
        stage()
        spent.append((time.process_time_ns() - began) / 1e6)
    return median(spent)
