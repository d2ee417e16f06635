"""Tells how a run went: one HTML page, its metrics and its manifest."""
