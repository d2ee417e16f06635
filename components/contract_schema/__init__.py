"""TensorFlow Metadata schemas from the data set contract, as artifacts."""
