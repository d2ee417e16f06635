"""The training loop: steps, looks, checkpoints, and what is recorded of them."""
