"""Four packed rows of the trainer tests' layout, and sizes of its networks worked out by hand."""

from __future__ import annotations

import numpy as np

ROW_IDS = np.array([[6, 4, 2], [0, 0, 0], [3, 1, 2], [5, 2, 1]], np.int32)
ROW_NUMS = np.array([[0.5, 0.0], [-1.0, 1.0], [2.0, 0.0], [0.0, 0.0]], np.float32)

# The layout's tables hold 7*4 + 5*2 + 3*4 = 50 numbers; the input is 4+2+4+2 = 12 wide.
TABLES = 50
CROSS = 12 * 12 + 12
RANK_2 = 2 * 12 * 2 + 12
DENSE_8 = 12 * 8 + 8
DENSE_4 = 8 * 4 + 4
LOGIT = 4 + 1
