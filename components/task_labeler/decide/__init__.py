"""What is decided of a setup on a day (NumPy): decay, completeness, prior, pins, hysteresis."""
