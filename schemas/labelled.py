"""What the TaskLabeler makes of clicks: splits, and fields that every click gets.

The fields' names are reserved in all contracts.
"""

TRAIN, CALIBRATION, EVAL = "train", "calibration", "eval"
SPLITS = (TRAIN, CALIBRATION, EVAL)
"""Consecutive periods of clicks, in their order."""

SETUP_ID = "setup_id"
"""bytes: the conversion setup, see `schemas.setup_id`."""

TASK = "task"
"""bytes: `hard` or `soft`, the assignment of the setup on the day of the click."""

WEIGHT_HARD = "task_weight_hard"
WEIGHT_SOFT = "task_weight_soft"
"""float: 1 in the example's own task and 0 in the other (paper, section 3.1.1)."""

TASK_REASON = "task_reason"
"""bytes: why the setup has its task that day: history, prior, held, cold_start or pinned."""

HISTORICAL_CVR = "historical_cvr"
"""float: decayed CVR of the setup, smoothed, as known at the start of the day of the click."""

CVR_BUCKET = "cvr_bucket"
"""bytes: the range that `historical_cvr` falls in, for slices."""

ROUTED_TO = "routed_to"
"""bytes: what the routing table of the day of the click says of the setup: `hard`, `soft` or
`fallback`. It differs from `task` where the two thresholds do, see `THRESHOLD_BAND`."""

THRESHOLD_BAND = "threshold_band"
"""bytes: `between` when online alpha < historical CVR <= alpha, else `outside`."""

SETUP_HISTORY = "setup_history"
"""bytes: `new` when the setup had fewer observed clicks than asked for, else `known`."""

CATEGORY = "setup_category"
"""bytes: declared conversion category, the empty string where the contract has none."""

ADVERTISER_TYPE = "setup_advertiser_type"
"""bytes: advertiser type, the empty string where the contract has none."""

HARD = "hard"
SOFT = "soft"
FALLBACK = "fallback"
"""Sends a candidate to the one-task model: nothing is known of its setup."""

BYTES_FIELDS = (
    SETUP_ID,
    TASK,
    TASK_REASON,
    ROUTED_TO,
    CVR_BUCKET,
    THRESHOLD_BAND,
    SETUP_HISTORY,
    CATEGORY,
    ADVERTISER_TYPE,
)
FLOAT_FIELDS = (WEIGHT_HARD, WEIGHT_SOFT, HISTORICAL_CVR)
RESERVED = frozenset(BYTES_FIELDS + FLOAT_FIELDS)

NUMERIC_FEATURES = frozenset({HISTORICAL_CVR})
"""Fields that a contract may list as numeric features: known at the click, and to a server by the
routing table."""
