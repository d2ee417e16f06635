"""What is decided of a setup on a day: counts, decay, completeness, prior, pins, hysteresis."""
