"""Starting a training from the weights of the last blessed model, row by row of its tables."""
