"""Scoring functions: what a variant believes of an ad's conversion probability."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from scipy.special import expit, logit, ndtri

from common.arrays import Floats
from common.versions.reference import MODEL_FILE
from labs.simulator.log.clicks import Clicks
from labs.simulator.world.streams import Purpose, generator
from labs.simulator.world.world import World
from schemas.errors import InputError

ORACLE, MEAN, NOISY = "oracle", "mean", "noisy"
SMALLEST = 1e-16
"""Uniforms from here on, so that their normals are finite."""


class AdScorer(Protocol):
    """Predicts P(conversion | click) of ads, [n], in [0, 1]."""

    def __call__(self, ads: Clicks) -> Floats: ...


class Oracle:
    """The true probability, momentary part included: no model can know it."""

    def __call__(self, ads: Clicks) -> Floats:
        return ads.probability


class SetupMean:
    """The true CVR of the ad's setup in its week: knows the setup, and nothing of the click."""

    def __init__(self, world: World) -> None:
        self._cvr = world.cvr

    def __call__(self, ads: Clicks) -> Floats:
        cvr: Floats = self._cvr[ads.setup, ads.day // 7]
        return cvr


class Noisy:
    """The truth with noise on its log-odds: logit p + sd z - sd^2 / 2, z standard normal.

    The last term keeps the mean of rare probabilities, so that noise does not raise all bids.
    """

    def __init__(self, sd: float, seed: int, stream: int) -> None:
        """stream: sets two noisy scorers of one market apart."""
        self._sd, self._seed, self._stream = sd, seed, stream

    def __call__(self, ads: Clicks) -> Floats:
        # Keyed by the rows, whatever the number that is scored at a time.
        rng = generator(self._seed, Purpose.REQUESTS, 1, self._stream, ads.day)
        rng.bit_generator.advance(ads.first_row)  # type: ignore[attr-defined]
        noise = ndtri(rng.uniform(SMALLEST, 1.0, len(ads)))
        noisy: Floats = expit(logit(ads.probability) + self._sd * noise - self._sd**2 / 2)
        return noisy


def make_scorer(spec: str, world: World, seed: int, stream: int, option: str) -> AdScorer:
    """The scorer that a word or a folder names.

    Args:
      spec: `oracle`, `mean`, `noisy:<sd>`, or the folder of a serving SavedModel.
      world: whose ads are scored.
      seed, stream: of a noisy scorer.
      option: where the spec was given, for errors.

    Raises:
      InputError: it is none of these, or the SavedModel cannot be used.
    """
    if spec == ORACLE:
        return Oracle()
    if spec == MEAN:
        return SetupMean(world)
    kind, colon, text = spec.partition(":")
    if kind == NOISY and colon:
        try:
            sd = float(text)
        except ValueError:
            sd = -1.0
        if not 0 <= sd <= 10:
            raise InputError(f"{option}: seen {spec!r}, wanted noisy:<sd> with an sd from 0 to 10")
        return Noisy(sd, seed, stream)
    if not (Path(spec) / MODEL_FILE).is_file():
        raise InputError(
            f"{option}: seen {spec!r}, which holds no {MODEL_FILE}; wanted the folder of a "
            f"pushed version, or {ORACLE}, {MEAN} or {NOISY}:<sd>"
        )
    from labs.marketplace.model import PushedModelScorer

    return PushedModelScorer(Path(spec), world, option)
