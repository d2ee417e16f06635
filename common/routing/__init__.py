"""The routing table: where candidates go. For serving processes: no TensorFlow, TFX or Beam."""
