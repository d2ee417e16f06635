"""What people run beside the pipeline: experiments, what-if studies, a simulator, A/B tests."""
