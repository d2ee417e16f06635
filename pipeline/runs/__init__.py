"""Runs on this machine: the run itself, its lock, record, progress and artifacts; all runs."""
