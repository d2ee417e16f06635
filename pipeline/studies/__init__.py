"""Experiments and searches on a finished run, frozen: its settings, its data, its folder."""
