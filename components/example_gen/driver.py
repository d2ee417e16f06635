"""Makes the reuse of earlier results depend on the log's files and on the as-of day."""

from __future__ import annotations

from pathlib import Path

from tfx.orchestration.portable import base_driver, data_types
from tfx.proto.orchestration import driver_output_pb2

from components.common.as_of import resolve_as_of
from components.example_gen.readers import open_source
from components.example_gen.source import Window
from schemas.contract import parse_contract


class Driver(base_driver.BaseDriver):
    """Puts the resolved as-of day and the files' fingerprint among the execution properties."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        properties = execution_info.exec_properties
        as_of = resolve_as_of(properties["as_of"])
        window = Window.before(as_of, properties["window_days"])
        source = open_source(
            parse_contract(properties["contract"]), Path(properties["root"]), window
        )
        output = driver_output_pb2.DriverOutput()
        for name, value in (
            properties | {"as_of": as_of.isoformat(), "input_fingerprint": source.fingerprint()}
        ).items():
            if isinstance(value, int):
                output.exec_properties[name].int_value = value
            elif value is not None:
                output.exec_properties[name].string_value = value
        return output
