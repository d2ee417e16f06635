"""The two Beam passes over the clicks: count and assign, then label and write."""
