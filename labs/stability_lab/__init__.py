"""What-if studies of the task assignment: stability, the choice of alpha, cold starts."""
