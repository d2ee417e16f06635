"""Reading and writing whole files: on this machine, atomically, and wherever TensorFlow reaches."""
