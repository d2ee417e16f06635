"""The predictions table: labelled examples scored by every exported serving graph."""
