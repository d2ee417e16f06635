"""The last blessed model, read from the push folder."""
