"""What can become of a broken input, and who is to blame."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from schemas.errors import InputError

Verdict = Literal["refused", "accepted", "traceback", "unnamed", "nonsense", "crash"]
FAULTS: tuple[Verdict, ...] = ("traceback", "unnamed", "nonsense", "crash")
"""`traceback`: another exception than the one for bad input, or an answer 500. `unnamed`: an error
of several lines, or one that does not name the file. `nonsense`: taken, though it must be refused,
or with rows other than those that are sound. `crash`: the process died."""


@dataclass(frozen=True)
class Outcome:
    """One input's fate; `change` says what was done to it, `detail` what came of it."""

    verdict: Verdict
    change: str
    detail: str = ""


class NonsenseError(Exception):
    """What was taken is not what it should be."""


def outcome_of(change: str, path: str, work: Callable[[], object]) -> Outcome:
    """Does the work on a broken file and judges how it ended."""
    try:
        work()
    except InputError as error:
        text = str(error)
        named = path in text and "\n" not in text
        return Outcome("refused" if named else "unnamed", change, text)
    except NonsenseError as error:
        return Outcome("nonsense", change, str(error))
    except Exception:
        return Outcome("traceback", change, traceback.format_exc(limit=-3))
    return Outcome("accepted", change)


def damage(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Bytes as a bad disk, a broken copy or a slip of the editor leaves them."""
    changed = bytearray(data)
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice((1, 4, 64, 1024)))
    what = rng.choice(("flip", "bit", "cut off", "left out", "twice", "zeroes", "noise", "more"))
    if what == "flip":
        changed[start:end] = bytes(b ^ 0xFF for b in changed[start:end])
    elif what == "bit":
        for _ in range(rng.choice((1, 8))):
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif what == "cut off":
        del changed[start:]
    elif what == "left out":
        del changed[start:end]
    elif what == "twice":
        changed[start:start] = data[start:end]
    elif what == "zeroes":
        changed[start:end] = bytes(end - start)
    elif what == "noise":
        changed[start:end] = rng.randbytes(end - start)
    else:
        changed += rng.randbytes(end - start)
    return f"{what} at {start}..{end}", bytes(changed)
