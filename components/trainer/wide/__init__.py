"""The wide part: one weight per id and number, with penalties learnt from the training data."""
