"""The scheduler on a clock of its own, with its process ended at any moment."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.files.atomic import write_files
from pipeline.runs.record import RunRecord, records, write_record
from pipeline.scheduling.attempts import MOST_INTERRUPTIONS, Attempts, Ending, Policy
from pipeline.scheduling.cron import Cron
from pipeline.scheduling.scheduler import Catchup, Scheduler
from pipeline.scheduling.ticks import ScheduleFile, TickResult
from schemas.errors import InputError

START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
PERIOD = timedelta(hours=6)
CRON = Cron.parse("0 */6 * * *")


def expected_ticks(until: datetime) -> list[datetime]:
    """Every sixth hour after the start, by counting."""
    first = datetime(2026, 3, 1, 6, tzinfo=UTC)
    count = max(0, (until - first) // PERIOD + 1)
    return [first + PERIOD * i for i in range(count)]


@dataclass
class FakeClock:
    """Time passes when somebody waits."""

    moment: datetime = START
    stop_at: datetime | None = None
    waits: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.moment

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.moment += timedelta(seconds=max(seconds, 0.0))
        return self.stopping()

    def stopping(self) -> bool:
        return self.stop_at is not None and self.moment >= self.stop_at


Script = Callable[[RunRecord], str]
"""What a run does: `ok`, `fail`, `vanish`, `stopped` or `overdue`."""


@dataclass
class World:
    """A folder, a clock and runs that do as they are told."""

    out: Path
    clock: FakeClock = field(default_factory=FakeClock)
    script: Script = lambda record: "ok"
    duration: timedelta = timedelta(minutes=20)
    policy: Policy = field(default_factory=Policy)
    begun: list[str] = field(default_factory=list)

    def launch(self, record: RunRecord) -> Ending:
        what = self.script(record)
        self.begun.append(record.run_id)
        self.clock.moment += self.duration
        running = record.model_copy(update={"status": "running", "stage": "Trainer"})
        write_record(self.out, running)
        if what == "ok":
            write_record(self.out, running.ended("succeeded"))
        elif what == "fail":
            write_record(self.out, running.ended("failed", "ValueError: no"))
        elif what in ("stopped", "overdue"):
            write_record(self.out, running.ended("stopped", "stopped by SIGTERM"))
        return Ending("killed by SIGKILL", overdue=what == "overdue")

    def scheduler(self, limit: int | None = None) -> Scheduler:
        attempts = Attempts(self.out, "p", "schedule", self.launch, self.clock, self.policy)
        return Scheduler(self.out, CRON, attempts, self.clock, Catchup(limit))

    def results(self) -> list[TickResult]:
        state = ScheduleFile(self.out).read()
        assert state is not None
        return list(state.results)

    def outcomes(self) -> list[tuple[str, str]]:
        return [(r.tick[8:13], r.outcome) for r in self.results()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.scheduler().begin()
    return made


def test_nothing_before_the_first_start_is_due(world: World) -> None:
    assert world.scheduler().run_due() == []
    assert world.begun == []


def test_a_tick_runs_as_of_its_own_day(world: World) -> None:
    world.clock.moment = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    world.scheduler().run_due()
    assert [(r.as_of, r.trigger.tick[:16]) for r in records(world.out) if r.trigger] == [
        ("2026-03-01", "2026-03-01T06:00"),
        ("2026-03-01", "2026-03-01T12:00"),
        ("2026-03-01", "2026-03-01T18:00"),
        ("2026-03-02", "2026-03-02T00:00"),
    ]


def test_it_waits_for_the_next_tick_and_stops_when_told(world: World) -> None:
    world.clock.stop_at = datetime(2026, 3, 1, 18, 10, tzinfo=UTC)
    world.scheduler().run_forever()
    assert [name[11:22] for name in world.begun] == ["20260301T06", "20260301T12", "20260301T18"]
    # From 00:30 to 06:00, and after each run of 20 minutes to the next tick.
    assert world.clock.waits == [19_800.0, 20_400.0, 20_400.0]


@pytest.mark.parametrize(
    ("limit", "skipped", "run"),
    [(None, 0, ["06", "12", "18", "00", "06"]), (2, 3, ["00", "06"]), (1, 4, ["06"])],
)
def test_missed_ticks_are_caught_up_as_told(
    world: World, limit: int | None, skipped: int, run: list[str]
) -> None:
    world.clock.moment = datetime(2026, 3, 2, 7, tzinfo=UTC)
    results = world.scheduler(limit).run_due()
    assert [name[20:22] for name in world.begun] == run
    assert sum(r.ticks for r in results if r.outcome == "skipped") == skipped
    assert world.scheduler(limit).run_due() == []


def test_a_failed_run_is_tried_again_and_does_not_block_the_next(world: World) -> None:
    world.policy = Policy(retries=2, retry_delay=90)
    fate = {"2026-03-01T06": ["fail", "fail", "ok"], "2026-03-01T12": ["fail"] * 3}
    world.script = lambda r: fate.get(r.trigger.tick[:13], ["ok"] * 9)[r.trigger.attempt - 1]  # type: ignore[union-attr]
    world.clock.moment = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
    world.scheduler().run_due()
    assert world.outcomes() == [("01T06", "succeeded"), ("01T12", "failed"), ("01T18", "succeeded")]
    assert [r.attempts for r in world.results()] == [3, 3, 1]
    assert world.clock.waits == [90.0] * 4
    assert world.results()[1].reason == "ValueError: no"


def test_a_run_that_vanishes_is_recorded_with_its_stage(world: World) -> None:
    world.script = lambda record: "vanish"
    world.clock.moment = datetime(2026, 3, 1, 6, tzinfo=UTC)
    world.scheduler().run_due()
    [record] = records(world.out)
    assert (record.status, record.stage, record.error) == ("failed", "Trainer", "killed by SIGKILL")
    assert world.outcomes() == [("01T06", "failed")]


def test_a_run_that_takes_too_long_has_failed(world: World) -> None:
    world.script = lambda record: "overdue"
    world.clock.moment = datetime(2026, 3, 1, 6, tzinfo=UTC)
    world.scheduler().run_due()
    assert world.outcomes() == [("01T06", "failed")]


def test_a_run_that_somebody_stops_is_not_started_again(world: World) -> None:
    world.policy = Policy(retries=5)
    world.script = lambda record: "stopped"
    world.clock.moment = datetime(2026, 3, 1, 6, tzinfo=UTC)
    world.scheduler().run_due()
    assert (world.outcomes(), len(world.begun)) == ([("01T06", "stopped")], 1)


def test_a_run_that_ends_with_its_scheduler_begins_anew(world: World) -> None:
    world.clock.moment = datetime(2026, 3, 1, 6, tzinfo=UTC)
    world.clock.stop_at = world.clock.moment + timedelta(minutes=1)
    world.script = lambda record: "stopped"
    world.scheduler().run_due()
    assert world.outcomes() == []
    world.clock.stop_at, world.script = None, lambda record: "ok"
    world.scheduler().run_due()
    assert (world.outcomes(), len(world.begun)) == ([("01T06", "succeeded")], 2)


def test_what_failed_before_is_forgiven_when_asked(world: World) -> None:
    world.script = lambda record: "fail"
    attempts = Attempts(world.out, "p", "backfill", world.launch, world.clock, Policy())

    def outcome() -> tuple[str, int] | None:
        result = attempts.handle("2026-03-01", "2026-03-01", "day", forgive=True)
        return result and (result.outcome, result.attempts)

    assert [outcome(), outcome()] == [("failed", 1), ("failed", 1)]
    world.script = lambda record: "ok"
    assert [outcome(), outcome()] == [("succeeded", 1), ("succeeded", 1)]
    assert world.begun == ["day-1", "day-2", "day-3"]


def test_other_runs_do_not_count_for_a_tick(world: World) -> None:
    """Neither a manual run of that moment nor one of another pipeline."""
    world.clock.moment = datetime(2026, 3, 1, 6, tzinfo=UTC)
    world.scheduler().run_due()
    [mine] = records(world.out)
    assert mine.trigger is not None
    write_record(world.out, mine.model_copy(update={"run_id": "other", "config": "q"}))
    attempts = Attempts(world.out, "q", "schedule", world.launch, world.clock, Policy())
    assert [r.run_id for r in attempts.earlier(mine.trigger.tick)] == ["other"]


def test_another_expression_goes_on_where_the_first_left(world: World) -> None:
    world.clock.moment = datetime(2026, 3, 1, 7, tzinfo=UTC)
    world.scheduler().run_due()
    hourly = Scheduler(
        world.out,
        Cron.parse("0 * * * *"),
        Attempts(world.out, "p", "schedule", world.launch, world.clock, Policy()),
        world.clock,
        Catchup(None),
    )
    hourly.run_due()
    assert world.outcomes() == [("01T06", "succeeded"), ("01T07", "succeeded")]


def test_a_damaged_state_is_named_not_guessed(world: World) -> None:
    (world.out / "schedule.json").write_text('{"handled": ')
    with pytest.raises(InputError, match=r"schedule\.json: not the state of a schedule"):
        world.scheduler().run_due()


class Killed(BaseException):
    """The scheduler's process ends here."""


@dataclass
class Fuse:
    """Ends the process at the n-th moment that is looked at."""

    left: int

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    @contextmanager
    def laid(self) -> Iterator[None]:
        """Before and after everything that is written."""

        def fused(folder: Path, files: Mapping[str, str]) -> None:
            self.burn()
            write_files(folder, files)
            self.burn()

        with (
            patch("pipeline.runs.record.write_files", fused),
            patch("pipeline.scheduling.ticks.write_files", fused),
            patch("common.files.atomic.os.fsync"),
        ):
            yield


@settings(max_examples=30, deadline=None)
@given(
    lives=st.lists(
        st.tuples(
            st.integers(1, 40),  # moments until the process is ended
            st.integers(0, 20),  # hours until it is started again
            st.booleans(),  # whether the run that was going on outlives it
        ),
        max_size=8,
    ),
    fates=st.lists(st.sampled_from(["ok", "ok", "ok", "fail", "vanish"]), min_size=60, max_size=60),
    limit=st.sampled_from([None, 1, 3]),
    retries=st.integers(0, 2),
)
def test_no_tick_is_lost_or_run_twice_wherever_the_process_ends(
    lives: list[tuple[int, int, bool]], fates: list[str], limit: int | None, retries: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), policy=Policy(retries, retry_delay=60))
        world.scheduler(limit).begin()
        world.script = lambda record: fates[len(world.begun) % len(fates)]
        for moments, hours, outlives in lives:
            try:
                with Fuse(moments).laid():
                    world.scheduler(limit).run_due()
            except Killed:
                for record in records(world.out):
                    if record.status == "running" and outlives:
                        write_record(world.out, record.ended("succeeded"))
            world.clock.moment += timedelta(hours=hours)
        world.scheduler(limit).run_due()

        ticks = expected_ticks(world.clock.moment)
        results = world.results()
        assert sum(r.ticks for r in results) == len(ticks)
        run = [r for r in results if r.outcome != "skipped"]
        assert len({r.tick for r in run}) == len(run)
        assert {datetime.fromisoformat(r.tick) for r in run} <= set(ticks)
        if limit is None:
            assert [datetime.fromisoformat(r.tick) for r in run] == ticks
        if ticks:
            assert datetime.fromisoformat(results[-1].tick) == ticks[-1]

        tried = list(records(world.out))
        succeeded = Counter(r.trigger.tick for r in tried if r.trigger and r.status == "succeeded")
        for result in run:
            mine = [r for r in tried if r.trigger and r.trigger.tick == result.tick]
            assert succeeded[result.tick] == (result.outcome == "succeeded")
            if result.outcome == "failed":
                failed = sum(r.status == "failed" for r in mine)
                assert failed == retries + 1 or len(mine) - failed == MOST_INTERRUPTIONS
