"""Trainings on frozen columns: cached arrays, a queue of processes, results kept by their key."""
