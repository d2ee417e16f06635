"""What is fitted on the calibration split: level, Platt or isotonic; the reference."""
