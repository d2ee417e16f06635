"""What the TaskLabeler makes of clicks: splits, and fields that every click gets.

The fields' names are reserved in all contracts.
"""

TRAIN, CALIBRATION, EVAL, RECENT = "train", "calibration", "eval", "recent"
JUDGED_SPLITS = (TRAIN, CALIBRATION, EVAL)
"""What the judged fit learns from and is judged on; consecutive periods, in their order."""

SPLITS = (*JUDGED_SPLITS, RECENT)
"""Consecutive periods of clicks, in their order; `recent` ends with the last day before the as-of
day, so that its labels may still change. A log without conversion times has no such split."""

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

JUDGED_LABEL = "judged_label"
"""int64, 0 or 1: the label as it had been observed when the eval period began; for clicks of that
period and later the log's own label."""

JUDGED_COMPLETENESS = "judged_completeness"
"""float in (0, 1]: share of the click's conversions expected to have been seen when the eval period
began, by what was known then; 1 for clicks of that period and later."""

COMPLETENESS = "completeness"
"""float in (0, 1]: share expected to have been seen by the as-of day. Belongs to the log's own
label, which holds what had been observed by then."""

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
FLOAT_FIELDS = (WEIGHT_HARD, WEIGHT_SOFT, HISTORICAL_CVR, JUDGED_COMPLETENESS, COMPLETENESS)
INT_FIELDS = (JUDGED_LABEL,)
RESERVED = frozenset(BYTES_FIELDS + FLOAT_FIELDS + INT_FIELDS)

NUMERIC_FEATURES = frozenset({HISTORICAL_CVR})
"""Fields that a contract may list as numeric features: known at the click, and to a server by the
routing table."""
