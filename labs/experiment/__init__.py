"""Named comparisons of trainings on frozen data: many seeds, intervals, a verdict for each."""
