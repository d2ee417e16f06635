"""Settings of the click log ExampleGen."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.base import Frozen


class IngestSettings(Frozen):
    """What the run does about rows that break the contract."""

    max_bad_row_share: Annotated[float, Field(ge=0, le=1)] = 0.001
    """Bad rows up to this share of the window's rows are written aside; above it the run stops."""
