"""A pushed model as a scorer of simulated ads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from common.routing.table import RoutingTable
from common.versions.reference import ONE_TASK_DIRECTORY
from labs.simulator.log.clicks import Clicks
from labs.simulator.log.tables import LogTables
from labs.simulator.world.world import World
from schemas.contract import load_contract
from schemas.errors import InputError
from schemas.labelled import HISTORICAL_CVR
from schemas.setup_id import setup_ids

SIGNATURE, OUTPUT = "raw", "probability"
CONTRACT = "simulator"


class PushedModelScorer:
    """Calls a serving SavedModel with the features that the log would show of the ads."""

    def __init__(self, path: Path, world: World, option: str) -> None:
        """
        Args:
          path: folder of a SavedModel with a `raw` signature, a tensor a column of the log.
          world: whose ads are scored.
          option: where the path was given, for errors.

        Raises:
          InputError: the SavedModel cannot be loaded, has no such signature, or reads columns
            that a simulated log does not have; or it reads the historical CVR, and no routing
            table lies beside it.
        """
        try:
            # The signature calls back into the loaded object: both must stay alive.
            self._model = tf.saved_model.load(str(path))
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"{option}: {path} cannot be loaded: {reason}") from error
        if SIGNATURE not in self._model.signatures:
            raise InputError(
                f"{option}: {path} has signatures {sorted(self._model.signatures)}; wanted one "
                f"named {SIGNATURE!r}"
            )
        self._score = self._model.signatures[SIGNATURE]
        # The signature's own keys have characters replaced; the tensors keep the columns' names.
        inputs = self._score.structured_input_signature[1]
        self._columns = {key: (spec.name, spec.dtype) for key, spec in inputs.items()}
        self._tables = LogTables(world)
        self._path, self._option, self._checked = path, option, False
        self._table: RoutingTable | None = None
        if HISTORICAL_CVR in (name for name, _ in self._columns.values()):
            inside = path.parts[-2:] == Path(ONE_TASK_DIRECTORY).parts
            self._table = RoutingTable.load(path.parents[1] if inside else path)
        self._roles = load_contract(CONTRACT).roles

    def __call__(self, ads: Clicks) -> npt.NDArray[np.float64]:
        log = self._tables.log(ads)
        if self._table is not None:
            log = log.append_column(HISTORICAL_CVR, self._historical_cvr(log, self._table))
        if not self._checked:
            wanted = {name for name, _ in self._columns.values()}
            if missing := sorted(wanted - set(log.column_names)):
                raise InputError(
                    f"{self._option}: {self._path} reads {missing[0]!r}, which a simulated log "
                    "does not have; wanted a model of the contract `simulator`"
                )
            self._checked = True
        feeds = {
            key: _tensor(log[name].combine_chunks(), dtype)
            for key, (name, dtype) in self._columns.items()
        }
        scores: npt.NDArray[np.float64] = self._score(**feeds)[OUTPUT].numpy().astype(np.float64)
        return scores

    def _historical_cvr(self, log: pa.Table, table: RoutingTable) -> pa.Array:
        """As a server finds it: in the routing table, or the prior of a rule."""
        ids = setup_ids([log[name].combine_chunks() for name in table.settings.setup])
        category, kind = (
            None if name is None else log[name].to_pylist()
            for name in (self._roles.conversion_category, self._roles.advertiser_type)
        )
        return pa.array(table.route(ids.to_pylist(), category, kind).cvr.astype(np.float32))


def _tensor(column: pa.Array, dtype: tf.DType) -> tf.Tensor:
    """A missing string is empty, a missing number NaN, as in an example without the feature."""
    if dtype == tf.string:
        return tf.constant(pc.fill_null(column, "").to_numpy(zero_copy_only=False), tf.string)
    return tf.constant(pc.fill_null(column, float("nan")).to_numpy(zero_copy_only=False), dtype)
