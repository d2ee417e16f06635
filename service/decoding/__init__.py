"""Bodies of requests into columns."""
