"""RetailRocket: a log of shop events to item views with two conversion types."""
