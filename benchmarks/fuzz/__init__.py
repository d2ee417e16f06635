"""Broken input at random, by a seed: what breaks a command, and what is taken that should not be."""
