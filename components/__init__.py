"""The stages of the DAG, one package each, and nothing else. Imports `common` and `schemas`."""
