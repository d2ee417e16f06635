"""Model processes, and the line between them and the front."""
