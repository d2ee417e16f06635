"""Broken input at random, by a seed: what breaks a command, and what is wrongly taken."""
