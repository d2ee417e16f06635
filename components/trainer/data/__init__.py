"""Labelled columns to training columns, in memory or on disk, sampled and cut into batches."""
