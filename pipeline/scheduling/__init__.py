"""Runs at scheduled times and for past days, each in a process of its own."""
