"""A two-tower network: data, network, step, loop, calibrate, warm, export; joined in `run_fn`."""
