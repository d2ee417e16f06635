"""Sums over examples, histograms of predictions, and the paired bootstrap clustered by setup."""
