"""Labelled columns to training columns in memory, sampled and cut into shuffled batches."""
