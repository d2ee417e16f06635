"""Files of a log, whatever their format, as record batches of the contract's columns."""
