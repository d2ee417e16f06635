"""Races side by side, each a command that prints ratios measured in one run."""
