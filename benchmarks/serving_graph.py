"""Latency and size of the serving graph against the full graph and a one-task model.

    python -m benchmarks.serving_graph --out OUT        OUT: of a finished `hardtower run`

On the graphs: the three SavedModels of the run, called with serialized tf.Examples of its eval
split, the transform inside, and the hard tower as the service calls it, features side by side,
parsed before. On ids: fresh networks of the training race's widths, without a transform, so that
only the layers count.

On text: strings to hashed ids in a session like the service's, once of the columns as they are and
once with those that all candidates share given and hashed once, as a request's context could be,
and laid beside the others in the graph.

Models take turns call by call in one process, on as many cores as TensorFlow takes; the ratio is
of medians.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine, write

BATCHES = (1, 50, 500)
WARM_UP = 20
HARD, FULL, ONE_TASK = "hard tower only", "full, two towers", "one task"
PACKED = "hard tower only, by the service's call"
TEXTS, BUCKETS = 15, 2**20
SHARED_TEXTS = (0, 4, 8, 12)

Times = dict[str, dict[int, list[float]]]
"""Milliseconds of each call by model and batch size."""

Call = Callable[[int], object]
"""Scores a batch of that size and waits for the answer."""


def race(models: Mapping[str, Call], calls: int) -> Times:
    """Calls every model in turn, `calls` times at each batch size."""
    times: Times = {name: {size: [] for size in BATCHES} for name in models}
    for size in BATCHES:
        for number in range(WARM_UP + calls):
            for name, call in models.items():
                began = time.perf_counter()
                call(size)
                if number >= WARM_UP:
                    times[name][size].append(1000 * (time.perf_counter() - began))
    return times


def graphs(out: Path) -> tuple[dict[str, Call], dict[str, Path]]:
    """The SavedModels of a run as calls on its own eval examples, and their folders."""
    folders = {
        HARD: newest(out, "Trainer", "model") / "Format-Serving",
        FULL: newest(out, "Trainer", "model") / "Format-Full",
        ONE_TASK: newest(out, "OneTaskTrainer", "model") / "Format-Serving",
    }
    inputs = eval_examples(out)
    calls = {name: saved_model(folder, inputs) for name, folder in folders.items()}
    calls[PACKED] = _as_the_service(folders[HARD], inputs)
    return calls, folders | {PACKED: folders[HARD]}


def eval_examples(out: Path) -> list[bytes]:
    """Serialized tf.Examples of a run's eval split, enough for the largest batch."""
    from common.clicks.tfrecords import read_batches, shard_files

    split = newest(out, "TaskLabeler", "labelled_examples") / "Split-eval"
    records: list[bytes] = []
    for shard in shard_files(str(split)):
        for batch in read_batches(shard):
            records += batch
        if len(records) >= max(BATCHES):
            break
    return records[: max(BATCHES)]


def saved_model(folder: Path, examples: Sequence[bytes]) -> Call:
    """A SavedModel as a call on the first of some serialized tf.Examples; answers its outputs."""
    import tensorflow as tf

    function = tf.saved_model.load(str(folder)).signatures["serving_default"]
    inputs = {size: tf.constant(examples[:size]) for size in BATCHES}

    def call(size: int) -> object:
        answers = function(examples=inputs[size])
        return [answer.numpy() for answer in answers.values()]

    return call


def _as_the_service(model: Path, records: Sequence[bytes]) -> Call:
    """Scores parsed records in a session of one thread."""
    import tensorflow as tf

    from common.versions.signatures import PACKED_INPUTS, PackedInputs
    from service.models.inputs import RawFeatures
    from service.models.saved_model import SavedModelScorer, read_schema

    asset = (model / "assets" / PACKED_INPUTS).read_bytes()
    inputs = PackedInputs.model_validate_json(asset)
    scorer = SavedModelScorer(model, read_schema(model))
    spec = dict.fromkeys(inputs.text, tf.io.FixedLenFeature([], tf.string, b""))
    spec |= dict.fromkeys(inputs.numbers, tf.io.FixedLenFeature([], tf.float32, math.nan))

    def columns(size: int) -> RawFeatures:
        parsed = tf.io.parse_example(records[:size], spec)
        text, numbers = (
            np.stack([parsed[column].numpy() for column in block], axis=1).T
            for block in (inputs.text, inputs.numbers)
        )
        return RawFeatures(text, numbers)

    packed = {size: columns(size) for size in BATCHES}
    return lambda size: scorer.score(packed[size])


def networks() -> dict[str, Call]:
    """Untrained networks of the training race's widths, on ids."""
    import tensorflow as tf

    from benchmarks.contestants import training_task as training
    from benchmarks.contestants.training_network import layout, model
    from components.trainer.network.network import TwoTowerDCN

    clicks = training.clicks(max(BATCHES))
    two = TwoTowerDCN(layout(), model(), seed=1)
    one = TwoTowerDCN(layout(), model().model_copy(update={"mode": "one_task"}), seed=1)
    specs = (
        tf.TensorSpec([None, training.FEATURES], tf.int32),
        tf.TensorSpec([None, training.NUMBERS], tf.float32),
    )

    def call_of(function: Callable[..., Any]) -> Call:
        traced = tf.function(function, input_signature=specs)

        def call(size: int) -> object:
            answers = traced(clicks.ids[:size], clicks.nums[:size])
            every = answers.values() if isinstance(answers, Mapping) else [answers]
            return [answer.numpy() for answer in every]

        return call

    return {
        HARD: call_of(two.path("hard").__call__),
        FULL: call_of(two.logits),
        ONE_TASK: call_of(one.path("all").__call__),
    }


def hashing(shared: Sequence[int]) -> dict[str, Call]:
    """Text features to ids, so many of them of one row for all; all in one block for none."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2

    from service.models.saved_model import session_of_one_thread

    values = np.array(
        [[f"value {i % 50} {j}" for j in range(TEXTS)] for i in range(max(BATCHES))], object
    )
    order = np.random.default_rng(0).permutation(TEXTS)

    def call_of(count: int) -> Call:
        with tf.Graph().as_default():
            own = tf.compat.v1.placeholder(tf.string, [None, TEXTS - count])
            context = tf.compat.v1.placeholder(tf.string, [1, count])
            ids = tf.strings.to_hash_bucket_fast(own, BUCKETS)
            if count:
                once = tf.strings.to_hash_bucket_fast(context, BUCKETS)
                once = tf.repeat(once, tf.shape(own)[0], axis=0)
                ids = tf.gather(tf.concat([once, ids], axis=1), order, axis=1)
            session = session_of_one_thread()
            hashed = session._make_callable_from_options(
                config_pb2.CallableOptions(feed=[context.name, own.name], fetch=[ids.name])
            )
        first = np.ascontiguousarray(values[:1, :count])
        rest = np.ascontiguousarray(values[:, count:])
        return lambda size: hashed(first, rest[:size])

    return {f"{count} of {TEXTS} texts hashed once": call_of(count) for count in shared}


def size_of(folder: Path) -> int:
    """Bytes of a SavedModel."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def newest(out: Path, node: str, output: str) -> Path:
    """The last artifact that a node has left in an output folder."""
    folders = sorted((out / "artifacts" / node / output).glob("*"), key=lambda p: int(p.name))
    if not folders:
        raise SystemExit(f"{out}: no {output} of {node}; wanted the folder of a finished run")
    return folders[-1]


def _show(console: Console, title: str, times: Times, sizes: Mapping[str, int] | None) -> None:
    table = Table(title=title)
    table.add_column("model")
    for size in BATCHES:
        for name in (f"p50 ms, batch {size}", "p99"):
            table.add_column(name, justify="right")
    if sizes:
        table.add_column("MB", justify="right")
    for name, of_size in times.items():
        cells = [f"{np.percentile(of_size[size], q):.2f}" for size in BATCHES for q in (50, 99)]
        table.add_row(name, *cells, *([f"{sizes[name] / 1e6:.2f}"] if sizes else []))
    console.print(table)
    first, *others = times
    for other in others:
        ratios = [
            f"batch {size}: {np.median(times[other][size]) / np.median(times[first][size]):.3f}"
            for size in BATCHES
        ]
        console.print(f"p50 of {other} over that of {first}: {', '.join(ratios)}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="of a finished run")
    parser.add_argument("--calls", type=int, default=400, help="of each model and batch size")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    console = Console(highlight=False, width=120)
    models, folders = graphs(options.out)
    sizes = {name: size_of(folder) for name, folder in folders.items()}
    from_examples = race(models, options.calls)
    _show(console, "SavedModels on serialized tf.Examples", from_examples, sizes)
    on_ids = race(networks(), options.calls)
    _show(console, "networks on ids, widths of the training race", on_ids, None)
    on_text = race(hashing(SHARED_TEXTS), options.calls)
    _show(console, "text to ids", on_text, None)
    report = {"machine": machine(), "sizes": sizes, "examples": from_examples, "ids": on_ids}
    report["text"] = on_text
    write(options.json, report)


if __name__ == "__main__":
    main()
