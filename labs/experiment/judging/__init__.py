"""From stored predictions to figures: metrics over seeds, differences with intervals."""
