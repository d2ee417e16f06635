"""What is printed while the interpreter ends."""

import subprocess
import sys

import pytest

PROGRAM = """
from pipeline.terminal.quiet import silence_unraisable

silence_unraisable()


class {name}:
    def __del__(self):
        raise ValueError("late")


kept = {name}()
{then}
"""


@pytest.mark.parametrize(
    ("name", "then", "shown"),
    [
        ("AtomicFunction", "", False),
        ("AtomicFunction", "del kept", True),
        ("Another", "", True),
    ],
)
def test_only_late_deletions_of_traced_functions_are_silent(
    name: str, then: str, shown: bool
) -> None:
    program = PROGRAM.format(name=name, then=then)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ("ValueError: late" in done.stderr) == shown
