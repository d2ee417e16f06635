"""Bodies of requests and answers, as the OpenAPI document describes them.

Requests are decoded by `service.decoding`, which takes the same.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from schemas.base import Frozen

Text = Annotated[str, Field(max_length=1024)]
Features = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "null"]},
            "description": "Raw features by column of the data set contract, or by input of the "
            "models' `raw` signature; null is missing.",
        }
    ),
]


class Candidate(Frozen):
    """One ad candidate."""

    setup_id: Text | None = None
    """The conversion setup; may be left out where its columns are among the features."""
    category: Text | None = None
    """Conversion category, of use for setups that the routing table does not hold; may be left out
    where its column is one of the setup's, or among the features."""
    advertiser_type: Text | None = None
    """As `category`."""
    key: Text | None = None
    """What the A/B test hashes where its unit is the candidate."""
    features: Features = Field(default_factory=dict)


class CandidateColumns(BaseModel):
    """The candidates column by column, all columns of one length.

    Besides these, a column a feature, of text or numbers, null where missing; a feature that has
    none comes from the context. A feature that is named like one of these goes by `features.` and
    its name.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    setup_id: list[Text | None] | None = None
    category: list[Text | None] | None = None
    advertiser_type: list[Text | None] | None = None
    key: list[Text | None] | None = None


class PredictRequest(Frozen):
    """One ad request."""

    request_id: Text | None = None
    """Comes back in the answer and in the decision log."""
    key: Text | None = None
    """What the A/B test hashes where its unit is the request."""
    context: Features = Field(default_factory=dict)
    """Features that all candidates share; a candidate's own value goes before."""
    candidates: Annotated[list[Candidate], Field(min_length=1)] | CandidateColumns


class Prediction(Frozen):
    """The answer for one candidate."""

    probability: float
    task: str
    """`hard`, `soft` or `fallback`."""
    reason: str
    """Why it has its task."""
    model: str
    """`hard_tower` or `one_task`."""
    variant: str | None
    """Its A/B variant; null without an experiment."""
    model_version: int
    assignment_id: str


class PredictResponse(Frozen):
    """The answers in the order of the candidates. One version answers all of a request."""

    request_id: str | None
    model_version: int
    assignment_id: str
    predictions: list[Prediction]


class Problem(Frozen):
    """What is wrong with a request: the field, where there is one, and why."""

    field: str | None
    message: str


class ErrorResponse(Frozen):
    errors: list[Problem]


class Readiness(Frozen):
    """Whether a version serves, and which versions were refused, with the reason."""

    ready: bool
    model_version: int | None
    assignment_id: str | None
    refused: dict[str, JsonValue]
