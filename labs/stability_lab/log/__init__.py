"""A click log as sums by setup and day, and the sides that its setups truly have."""
