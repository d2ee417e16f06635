"""The stages of the pipeline, one package each. Imports `schemas` only."""
