"""Data set contracts and the schemas that follow from them. Imports nothing else of hardtower."""
