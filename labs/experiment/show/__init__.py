"""An experiment's figures as tables, a plot and a page."""
