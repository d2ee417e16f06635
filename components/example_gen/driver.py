"""Makes the reuse of earlier results depend on the log's files and on the as-of day."""

from __future__ import annotations

from pathlib import Path

from tfx.dsl.components.base import base_driver as component_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver, data_types
from tfx.proto.orchestration import driver_output_pb2

from common.as_of import resolve_as_of
from components.example_gen.readers.plain import open_source
from components.example_gen.readers.source import Window
from schemas.contract import parse_contract


class Driver(component_driver.BaseDriver, base_driver.BaseDriver):
    """Puts the resolved as-of day and the files' fingerprint among the execution properties.

    TFX wants both bases: a component may only name a subclass of the first, and the launcher runs
    the interface of the second.
    """

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        component_driver.BaseDriver.__init__(self, metadata_handle)
        base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        properties = execution_info.exec_properties
        as_of = resolve_as_of(properties["as_of"])
        window = Window.before(as_of, properties["window_days"])
        contract = parse_contract(properties["contract"])
        source = open_source(contract, Path(properties["root"]), window)
        keys = {"as_of": as_of.isoformat(), "input_fingerprint": source.fingerprint()}
        output = driver_output_pb2.DriverOutput()
        for name, value in (properties | keys).items():
            data_types_utils.set_metadata_value(output.exec_properties[name], value)
        return output
