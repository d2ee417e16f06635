"""The prediction service as an HTTP server: messages, metrics, and its start."""
