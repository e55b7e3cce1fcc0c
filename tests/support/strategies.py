"""What hypothesis draws: quantized tensors, and values with the extremes in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

__all__ = ["Quantization", "int8_values", "int16_values", "quantizations", "some", "zero_points"]

some = settings(
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class Quantization:
    """A scale and a zero point, to be given to a tensor as `*q.pair`."""

    scale: float
    zero_point: int

    @property
    def pair(self) -> tuple[float, int]:
        return self.scale, self.zero_point


zero_points = st.integers(-128, 127) | st.sampled_from([-128, 0, 127])
quantizations = st.builds(
    Quantization,
    st.floats(-8, 1).map(lambda power: float(np.float32(2.0**power))) | st.sampled_from([1.0, 2.0**-7]),
    zero_points,
)


def int8_values(seed: int, shape: Sequence[int], low: int = -128) -> NDArray[np.int8]:
    """Any values; with some seeds, mostly the extremes, or all the same."""
    random = np.random.default_rng(seed)
    if seed % 4 == 1:
        return random.choice(np.array([low, 127], np.int8), tuple(shape))
    if seed % 16 == 2:
        return np.full(tuple(shape), random.integers(low, 128), np.int8)
    return random.integers(low, 128, tuple(shape)).astype(np.int8)


def int16_values(seed: int, shape: Sequence[int]) -> NDArray[np.int16]:
    """Any values; with some seeds, only the extremes, small ones, or all the same."""
    random = np.random.default_rng(seed)
    if seed % 4 == 1:
        return random.choice(np.array([-32768, -32767, 32767], np.int16), tuple(shape))
    if seed % 8 == 2:
        return random.integers(-40, 41, tuple(shape)).astype(np.int16)
    if seed % 16 == 3:
        return np.full(tuple(shape), random.integers(-32768, 32768), np.int16)
    return random.integers(-32768, 32768, tuple(shape)).astype(np.int16)
