"""What had been observed of each click when the eval period began, and by the as-of day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tfx_bsl.coders import example_coder

from common.arrays import Bools, Ints
from common.clicks.columns import MISSING
from common.clicks.one_valued import one_valued
from components.task_labeler.decide.completeness import AgeCurve
from schemas import labelled
from schemas.contract import Contract


class Observer:
    """Labels as they had been observed at two moments, and how complete they were.

    Args:
      judged: the first second of the eval period.
      as_of: the first second that the run must not see.
      curves: completeness as known at each of the two; None where labels do not ripen and are
        taken as they are.
    """

    def __init__(
        self,
        contract: Contract,
        judged: int,
        as_of: int,
        curves: tuple[AgeCurve, AgeCurve] | None,
    ) -> None:
        self._judged, self._as_of, self._curves = judged, as_of, curves
        self._encoder = example_coder.RecordBatchToExamplesEncoder()
        roles = contract.roles
        self._unseen = {roles.label: 0}
        if roles.conversion_timestamp is not None:
            self._unseen[roles.conversion_timestamp] = MISSING

    def label(self, keys: pa.RecordBatch) -> Ints:
        """The label as observed by the as-of day, int64 [n].

        Args:
          keys: of `ClickReader.keys_of`.
        """
        if self._curves is None:
            own: Ints = keys.column("label").to_numpy()
            return own
        return (keys.column("conversion_time").to_numpy() >= 0).astype(np.int64)

    def fields(self, keys: pa.RecordBatch, category: pa.Array) -> pa.RecordBatch:
        """The labelled fields that say what had been observed.

        Args:
          keys: of `ClickReader.keys_of`.
          category: strings [n], of the clicks' setups.
        """
        label = self.label(keys)
        n = keys.num_rows
        judged, then, now = label, np.ones(n, np.float32), np.ones(n, np.float32)
        if self._curves is not None:
            clicked = keys.column("click_time").to_numpy()
            before = clicked < self._judged
            seen = keys.column("conversion_time").to_numpy() < self._judged
            judged = np.where(before & ~seen, 0, label)
            at_judged, at_as_of = self._curves
            then[before] = at_judged.at(
                category.filter(pa.array(before)), self._judged - clicked[before]
            )
            now = at_as_of.at(category, self._as_of - clicked)
        columns = {
            labelled.JUDGED_LABEL: pa.array(judged),
            labelled.JUDGED_COMPLETENESS: pa.array(then),
            labelled.COMPLETENESS: pa.array(now),
        }
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))

    def suffixes(self, fields: pa.RecordBatch) -> list[bytes]:
        """What carries the fields behind a serialized tf.Example, one a row."""
        # Most clicks are mature and share a few values: made once, then handed out.
        bits = [fields.column(i).to_numpy().view(np.int32).astype(np.int64) for i in (1, 2)]
        codes = (bits[0] << 32) | (bits[1] << 1) | fields.column(0).to_numpy()
        _, first, of_row = np.unique(codes, return_index=True, return_inverse=True)
        distinct = self._encoder.encode(one_valued(fields.take(pa.array(first))))
        return np.array(distinct, object)[of_row].tolist()

    def unseen(self, keys: pa.RecordBatch) -> Bools:
        """Clicks whose record tells of a conversion that the run must not see, bool [n]."""
        return (keys.column("label").to_numpy() == 1) & (self.label(keys) == 0)

    def hide(
        self, records: Sequence[bytes], columns: pa.RecordBatch, unseen: Bools
    ) -> tuple[list[bytes], pa.RecordBatch]:
        """Records and columns without the conversions of the clicks in `unseen`."""
        if not unseen.any():
            return list(records), columns
        plain = tf.train.Example()
        for name, value in self._unseen.items():
            plain.features.feature[name].int64_list.value.append(value)
        suffix = plain.SerializeToString()
        hidden = pa.array(unseen)
        whole = [
            pc.if_else(hidden, self._unseen[name], column) if name in self._unseen else column
            for name, column in zip(columns.schema.names, columns.columns, strict=True)
        ]
        return (
            [
                record + suffix if hide else record
                for record, hide in zip(records, unseen.tolist(), strict=True)
            ],
            pa.RecordBatch.from_arrays(whole, columns.schema.names),
        )
