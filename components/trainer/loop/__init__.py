"""The training loop: steps, looks, early stopping, checkpoints, and what is recorded of them."""
