"""One step: loss, gradients, optimizer, on one device or many; predictions and their metrics."""
