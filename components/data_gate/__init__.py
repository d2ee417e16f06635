"""Stops a run whose data is not what the contract promises."""
