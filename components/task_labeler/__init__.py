"""Decides which setups are hard on which day; writes each click down with its task and split."""
