"""Reads a budget-split A/B test as CPA and conversion ratios (paper, section 4.2)."""
