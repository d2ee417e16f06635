"""The log: requests, clicks and delays drawn day by day; the truth beside it and its ceiling."""
