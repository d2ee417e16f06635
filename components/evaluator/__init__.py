"""Evaluation of the candidate against the one-task and the last blessed model, and the gate."""
