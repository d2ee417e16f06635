"""What became of the log's rows."""

from tfx.types.artifact import Artifact


class IngestReport(Artifact):
    """`ingest.json` (rows read, outside the window, refused, by rule) and `rejected/*.parquet`."""

    TYPE_NAME = "hardtower.IngestReport"
