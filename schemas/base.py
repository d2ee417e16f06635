"""The base of every settings model."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A typed record that refuses unknown keys and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
