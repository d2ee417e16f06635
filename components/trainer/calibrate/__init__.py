"""What is fitted on the calibration split: level, Platt or isotonic of each tower; the reference."""
