"""One version in memory: inputs, scorers, the bundle of them, and its change while it serves."""
