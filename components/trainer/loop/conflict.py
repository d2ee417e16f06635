"""How far the two tasks pull the shared weights in the same direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from common.arrays import Bools, Indices
from components.trainer.data.batches import Batch, Feed, batch_of
from components.trainer.data.columns import Columns, task_numbers
from components.trainer.data.sampling import logit_shifts
from components.trainer.data.storage import pieces
from components.trainer.loop.monitor import Row
from components.trainer.network.embedding import Lookup
from components.trainer.network.network import TwoTowerDCN
from components.trainer.network.stack import INFERENCE
from components.trainer.settings import LossSettings, TrainingSettings
from components.trainer.step.loss import Observed, multi_task_loss
from components.trainer.step.step import batch_specs

COSINE, NORM_RATIO = "gradient_cosine", "gradient_norm_ratio"
"""Prefixes of the history's keys, before `/<layer>`."""

EMBEDDING, ALL_SHARED = "embedding", "all"
"""Layers besides those of the network: all tables as one, and all shared weights as one."""

_STREAM = 0x6AD1E4


class GradientConflict:
    """Compares the gradients of the hard and the soft loss, by layer, on a fixed sample.

    With g_T = W_T dL_T / dx the part of the training loss's gradient that is task T's (equation 1),
    x the weights of one shared layer,

        gradient_cosine       g_hard . g_soft / (|g_hard| |g_soft|)
        gradient_norm_ratio   |g_hard| / |g_soft|

    Below 0 a step for one task is, to first order, a step against the other. Source: Yu et al.,
    "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, definitions 1 and 2. In a network of
    one tower every weight is shared. Dropout and embedding_l2 are left out.
    """

    def __init__(
        self,
        network: TwoTowerDCN,
        feed: Feed,
        loss: LossSettings,
        training: TrainingSettings,
    ) -> None:
        """Draws the sample, the same for the same seed.

        Args:
          network: being trained.
          feed: what batches are made of.
          loss, training: settings.
        """
        self._network = network
        self._shifts = logit_shifts(training.sampling, network.settings.mode)
        self._shared = _shared_by_layer(network)
        self._scale = _scale(network, feed.examples, loss)
        self._batch = _draw(network, feed, training)
        specs = batch_specs(network.layout, len(network.settings.tasks))
        self._run = tf.function(self._products, input_signature=specs)

    def look(self) -> Row:
        """Both measures of each layer with the weights as they are now.

        None where a gradient is 0; nothing at all without examples of both tasks.
        """
        if self._batch is None:
            return {}
        products, weights = self._run(*self._batch)
        row: Row = {}
        ratio_of_means = self._scale * float(weights[1]) / float(weights[0])
        for layer, (dot, hard, soft) in zip(self._layers, products.numpy(), strict=True):
            both = hard > 0 and soft > 0
            row[f"{COSINE}/{layer}"] = float(dot / np.sqrt(hard) / np.sqrt(soft)) if both else None
            ratio = ratio_of_means * float(np.sqrt(hard) / np.sqrt(soft)) if both else np.inf
            row[f"{NORM_RATIO}/{layer}"] = ratio if np.isfinite(ratio) else None
        return row

    @property
    def _layers(self) -> tuple[str, ...]:
        tables = (EMBEDDING,) if self._network.embedding.tables else ()
        return (*tables, *self._shared, ALL_SHARED)

    def _products(self, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Of the gradients of the two tasks' summed log losses.

        Returns:
          float64 [layers, 3]: g_hard . g_soft, |g_hard|^2 and |g_soft|^2; and the summed weights
          of the hard and of the soft examples, float32 [2].
        """
        ids, nums, label, counts, weight, completeness, offset = batch
        lookups = self._network.embedding.lookup(ids)
        seen = Observed(label, tf.range(tf.size(label)) < counts[0], weight, completeness)
        watched = [
            [lookup.rows for lookup in lookups],
            *(list(variables) for variables in self._shared.values()),
        ]
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(watched)
            logit = self._network.own_logit(ids, lookups, nums, counts, INFERENCE, routed=True)
            losses = multi_task_loss(logit + offset, seen, None, self._shifts)
        zero = tf.UnconnectedGradients.ZERO
        hard, soft = (
            tape.gradient(task_sum, watched, unconnected_gradients=zero)
            for task_sum in (losses.hard_sum, losses.soft_sum)
        )
        hard[0], soft[0] = _whole(hard[0], lookups), _whole(soft[0], lookups)
        rows = [_inner(*pair) for pair in zip(hard, soft, strict=True)]
        total = tf.add_n(rows)
        layers = rows if lookups else rows[1:]
        return tf.stack([*layers, total]), tf.stack([losses.hard_weight, losses.soft_weight])


def _whole(
    gradients: Sequence[tf.Tensor | tf.IndexedSlices], lookups: Sequence[Lookup]
) -> list[tf.Tensor]:
    """Gradients of looked up rows, float32 [distinct, width], places used twice summed."""
    return [
        tf.math.unsorted_segment_sum(g.values, g.indices, tf.size(lookup.unique))
        if isinstance(g, tf.IndexedSlices)
        else g
        for g, lookup in zip(gradients, lookups, strict=True)
    ]


def _inner(hard: Sequence[tf.Tensor], soft: Sequence[tf.Tensor]) -> tf.Tensor:
    """h . s, h . h and s . s over all tensors of a layer, float64 [3]."""
    products = tf.zeros(3, tf.float64)
    for h, s in zip(hard, soft, strict=True):
        h, s = (tf.cast(g, tf.float64) for g in (h, s))
        products += tf.stack([tf.reduce_sum(h * s), tf.reduce_sum(h * h), tf.reduce_sum(s * s)])
    return products


def _shared_by_layer(network: TwoTowerDCN) -> dict[str, list[tf.Variable]]:
    """Dense variables that both tasks train, by layer: names less the scope and the last part."""
    layers: dict[str, list[tf.Variable]] = {}
    for variable in network.dense_variables:
        scope, *layer, _ = variable.name.split("/")
        if scope == "shared" or len(network.towers) == 1:
            layers.setdefault("/".join(layer), []).append(variable)
    return layers


def _scale(network: TwoTowerDCN, columns: Columns, loss: LossSettings) -> float:
    """W_hard / W_soft as factors of the tasks' mean losses."""
    hard = soft = 0.0
    for _, block in columns.blocks():
        hard += float(block.weighs[block.hard].sum(dtype=np.float64))
        soft += float(block.weighs[~block.hard].sum(dtype=np.float64))
    share = hard / soft if soft else np.inf
    if len(network.towers) == 1:
        return share
    ratio = loss.weight_hard / loss.weight_soft if loss.weight_soft else np.inf
    return ratio if loss.reduction == "task_mean" else ratio * share


def _draw(network: TwoTowerDCN, feed: Feed, training: TrainingSettings) -> Batch | None:
    """Up to `gradient_examples` of each task, by weight above 0; none without either task."""
    columns = feed.examples
    rng = np.random.default_rng([training.seed, 0, _STREAM])
    counts = np.ones(len(columns), bool) if columns.weight is None else columns.weight > 0
    chosen: list[Indices] = []
    for mine in (columns.hard & counts, ~columns.hard & counts):
        of_task = int(np.count_nonzero(mine))
        size = min(of_task, training.gradient_examples)
        chosen.append(_rows_where(mine, rng.choice(of_task, size, replace=False, shuffle=False)))
    if not all(len(rows) for rows in chosen):
        return None
    rows = np.concatenate(chosen)
    drawn = columns.part(rows)
    return batch_of(
        drawn,
        task_numbers(drawn, network.settings.tier_boundaries),
        np.arange(len(drawn)),
        number_of_tasks=len(network.settings.tasks),
        offset=None if feed.offset is None else feed.offset[rows],
    )


def _rows_where(mask: Bools, places: Indices) -> Indices:
    """Rows of some of those where the mask is true, by their places among them."""
    rows, passed = np.empty_like(places), 0
    for part in pieces(len(mask)):
        here = np.flatnonzero(mask[part])
        mine = (places >= passed) & (places < passed + len(here))
        rows[mine] = part.start + here[places[mine] - passed]
        passed += len(here)
    return rows
