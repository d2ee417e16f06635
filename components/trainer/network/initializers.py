"""Stateless initial values: a function of the seed and the variable's name alone.

Two networks of one seed start equal in every variable that they share by name, whatever else
they hold and in whatever order it is built.
"""

from __future__ import annotations

import math
import zlib

import tensorflow as tf


def seed_pair(seed: int, name: str) -> tuple[int, int]:
    """Seed of TensorFlow's stateless random operations for one name."""
    return seed, zlib.crc32(name.encode()) & 0x7FFFFFFF


def uniform(shape: tuple[int, ...], limit: float, seed: int, name: str) -> tf.Tensor:
    """float32 values, uniform in [-limit, limit)."""
    return tf.random.stateless_uniform(
        shape, seed=seed_pair(seed, name), minval=-limit, maxval=limit
    )


def glorot_uniform(shape: tuple[int, int], seed: int, name: str) -> tf.Tensor:
    """float32 [fan in, fan out], uniform within sqrt(6 / (fan in + fan out)).

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16.
    """
    return uniform(shape, math.sqrt(6.0 / sum(shape)), seed, name)
