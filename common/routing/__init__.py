"""Where each candidate goes, for serving processes: no TensorFlow, TFX or Beam here."""
