"""The contract of a log with one rare and one frequent goal."""

from __future__ import annotations

from schemas.contract import Contract

CONTRACT = Contract.model_validate(
    {
        "name": "two_goals",
        "description": "one rare and one frequent goal",
        "input": {"format": "parquet", "pattern": "*"},
        "attribution_window_days": 5,
        "roles": {
            "timestamp": "t",
            "conversion_timestamp": "ct",
            "label": "y",
            "setup": ["shop", "goal"],
            "conversion_category": "goal",
        },
        "features": {"of_setup": False, "categorical": [{"name": "shop", "buckets": 10}]},
    }
)
