"""Publishes blessed models as numbered versions that TF Serving loads."""
