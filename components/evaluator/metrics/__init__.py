"""Metrics as TFMA combiners (RIG, AUC, calibration), and the slices they are taken on."""
