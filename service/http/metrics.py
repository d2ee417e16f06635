"""Prometheus metrics of the service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.workers.wire import Reply

_LATENCY = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_CANDIDATES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "hardtower_requests", "Prediction requests.", ["status"], registry=registry
        )
        self._seconds = Histogram(
            "hardtower_request_seconds",
            "Time from the whole body read to the answer ready.",
            buckets=_LATENCY,
            registry=registry,
        )
        self._scoring = Histogram(
            "hardtower_scoring_seconds",
            "Time of one model call.",
            ["model"],
            buckets=_LATENCY,
            registry=registry,
        )
        self._size = Histogram(
            "hardtower_request_candidates",
            "Candidates in a request.",
            buckets=_CANDIDATES,
            registry=registry,
        )
        self._candidates = Counter(
            "hardtower_candidates",
            "Candidates answered.",
            ["task", "reason", "model", "variant"],
            registry=registry,
        )
        self._serving = Gauge(
            "hardtower_serving_version", "Version that serves; 0 for none.", registry=registry
        )
        self._newest = Gauge(
            "hardtower_newest_version",
            "Newest version in the serving folder; 0 for none. Above the serving version, it was "
            "refused or is loading.",
            registry=registry,
        )
        self._loads = Counter(
            "hardtower_version_loads",
            "Versions that took over (ok) or were refused.",
            ["outcome"],
            registry=registry,
        )
        self._load_seconds = Gauge(
            "hardtower_version_load_seconds", "Time the last load took.", registry=registry
        )
        self._lost = Gauge(
            "hardtower_decisions_lost",
            "Lines that could not be written to the decision log.",
            registry=registry,
        )
        # Looking a counter up by its labels costs more than counting.
        self._ways: dict[tuple[str, ...], Counter] = {}
        for outcome in ("ok", "refused"):
            self._loads.labels(outcome)

    def loaded(self, seconds: float) -> None:
        """A version took over, after so long."""
        self._loads.labels("ok").inc()
        self._load_seconds.set(seconds)

    def refused(self) -> None:
        """A version could not be loaded."""
        self._loads.labels("refused").inc()

    def looked(self, newest: int | None, serving: int | None) -> None:
        """What lies in the serving folder, and what serves."""
        self._newest.set(newest or 0)
        self._serving.set(serving or 0)

    def status(self, status: int) -> None:
        """One request was answered with this HTTP status."""
        self._requests.labels(str(status)).inc()

    def answered(self, reply: Reply) -> None:
        """A request was answered with predictions."""
        self._seconds.observe(reply.seconds)
        self._size.observe(sum(group.candidates for group in reply.groups))
        for scored in reply.scored:
            self._scoring.labels(scored.model).observe(scored.seconds)
        for group in reply.groups:
            way = (group.task, group.reason, group.model, group.variant)
            if (counter := self._ways.get(way)) is None:
                counter = self._ways[way] = self._candidates.labels(*way)
            counter.inc(group.candidates)

    def lost(self, lines: int) -> None:
        """Sets how many lines the decision log has lost so far."""
        self._lost.set(lines)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format, the answer of `/metrics`."""
        return generate_latest(self._registry)
