"""The log: requests and clicks drawn day by day; the truth beside it and its ceiling."""
