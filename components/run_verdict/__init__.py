"""What came of a run, written whether it succeeded or not."""
