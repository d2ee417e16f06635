"""The pipeline compiled for Kubeflow Pipelines and Vertex AI Pipelines, and run in containers."""
