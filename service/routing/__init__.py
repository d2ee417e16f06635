"""Which model answers for a candidate, by task and variant; decisions against the offline side."""
