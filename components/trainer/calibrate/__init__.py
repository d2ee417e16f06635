"""The calibrator of the served tower, fitted on the calibration split: Platt or isotonic."""
