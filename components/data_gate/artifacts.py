"""What the data gate found."""

from tfx.types.artifact import Artifact


class DataVerdict(Artifact):
    """`gate.json`: whether the data passed, and every finding."""

    TYPE_NAME = "hardtower.DataVerdict"
