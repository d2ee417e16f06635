"""From metrics and predictions to a blessing: baseline, comparisons with intervals, the gate."""
