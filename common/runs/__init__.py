"""One run: what it was asked for, its parameters as execution properties, the code that made it."""
