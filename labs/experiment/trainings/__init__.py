"""Trainings on frozen columns: cached arrays and truth, a queue of processes, stored results."""
