"""The artifact that a run report is kept in."""

from tfx.types.value_artifact import ValueArtifact


class Report(ValueArtifact):
    """A self-contained HTML page; the artifact's URI is the file itself, as viewers expect.

    The type's name is the one that the pages of Kubeflow Pipelines show HTML by.
    """

    TYPE_NAME = "system.HTML"

    def encode(self, value: str) -> bytes:
        return value.encode("utf-8")

    def decode(self, serialized_value: bytes) -> str:
        return serialized_value.decode("utf-8")
