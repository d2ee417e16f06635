"""Functions that race against each other, each called in a process of its own."""
