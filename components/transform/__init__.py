"""The feature graph: raw columns to packed ids and numbers, with learned vocabularies."""
