"""The device's way to draw a token (docs/sampling.md), in the same integers: the same seed gives the same tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ThimbleError

__all__ = ["CANDIDATES", "RECENT", "Sampler", "SamplerSettings", "logit_step", "powers"]

CANDIDATES = 64
RECENT = 64
_POWERS = [round(65536 * 2 ** (-i / 16)) for i in range(17)]
_LIMITS = {"temperature": (0, 100_000), "top_k": (0, CANDIDATES), "top_p": (1, 1000), "penalty": (100, 10_000)}


@dataclass(frozen=True)
class SamplerSettings:
    """Temperature (0: the best token), top-p and repetition penalty in thousandths, top-k (0: all), and the seed."""

    temperature: int = 0
    top_k: int = 0
    top_p: int = 1000
    penalty: int = 1000
    seed: int = 0

    @classmethod
    def of(cls, temperature: float, top_k: int, top_p: float, penalty: float, seed: int) -> SamplerSettings:
        """From command-line values: 0.8, 40, 0.95, 1.1.

        Raises:
            ThimbleError: one is out of range.
        """
        settings = cls(round(1000 * temperature), top_k, round(1000 * top_p), round(1000 * penalty), seed)
        for name, (low, high) in _LIMITS.items():
            value = getattr(settings, name)
            if not low <= value <= high:
                scale = 1 if name == "top_k" else 1000
                raise ThimbleError(
                    f"{name.replace('_', '-')} {value / scale:g} is out of range",
                    f"use {low / scale:g} to {high / scale:g}",
                )
        if not 0 <= seed < 1 << 32:
            raise ThimbleError(f"seed {seed} is out of range", "use 0 to 4294967295")
        return settings


def logit_step(scale: float) -> int:
    """log2 of the probability ratio per logit step, in units of 2^-24."""
    return int(scale / np.log(2) * 2.0**24 + 0.5)


class Sampler:
    """Draws tokens as the device does.

    Args:
        step: `logit_step` of the logits' scale.
        zero_point: of the logits.
    """

    def __init__(self, settings: SamplerSettings, step: int, zero_point: int) -> None:
        self.settings, self.step, self.zero_point = settings, step, zero_point
        self.recent: list[int] = []
        self._state = 0
        self._random()
        self._state = (self._state + settings.seed) & 0xFFFFFFFFFFFFFFFF
        self._random()

    def reset(self) -> None:
        """Clears the recent tokens."""
        self.recent = []

    def take(self, token: int) -> None:
        """Records a token that was fed to the model."""
        self.recent = [*self.recent, token][-RECENT:]

    def draw(self, logits: NDArray[np.signedinteger], allowed: Sequence[int] | None = None) -> int:
        """Samples the next token from int8 or int16 logits [vocab].

        Args:
            logits: of the model.
            allowed: the ids that may be drawn, ascending; None: all.
        """
        settings = self.settings
        if settings.temperature == 0 and settings.penalty == 1000 and allowed is None:
            return int(np.argmax(logits))
        values = (logits.astype(np.int64) - self.zero_point) * self.step + 128 >> 8
        if settings.penalty != 1000:
            for token in set(self.recent):
                values[token] = _penalized(int(values[token]), settings.penalty)
        order = np.argsort(-values, kind="stable")
        if allowed is not None:
            order = order[np.isin(order, np.asarray(allowed))]
        if settings.temperature == 0:
            return int(order[0])
        weights = powers((values[order[0]] - values) * (65_536_000 // settings.temperature) >> 16)
        if settings.top_k or settings.top_p < 1000:
            candidates = order[: settings.top_k or CANDIDATES]
            sums = np.cumsum(weights[candidates])
            count = int(np.searchsorted(sums * 1000, int(sums[-1]) * settings.top_p)) + 1
            candidates = candidates[: min(count, len(candidates))]
        else:
            candidates = np.arange(len(values)) if allowed is None else np.asarray(allowed)
        sums = np.cumsum(weights[candidates])
        target = self._random() * int(sums[-1]) >> 32
        return int(candidates[min(int(np.searchsorted(sums, target, side="right")), len(candidates) - 1)])

    def _random(self) -> int:
        old = self._state
        self._state = (old * 6364136223846793005 + 109) & 0xFFFFFFFFFFFFFFFF
        shifted, turn = ((old >> 18 ^ old) >> 27) & 0xFFFFFFFF, old >> 59
        return (shifted >> turn | shifted << (32 - turn & 31)) & 0xFFFFFFFF


def _penalized(value: int, penalty: int) -> int:
    return value * (65_536_000 // penalty if value > 0 else 65_536 * penalty // 1000) >> 16


def powers(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """2^16 · 2^−x of x in 2^-16, int64."""
    table = np.array(_POWERS, np.int64)
    whole, part = np.minimum(x >> 16, 17), x & 0xFFFF
    index = part >> 12
    value = table[index] - ((table[index] - table[index + 1]) * (part & 0xFFF) + 0x800 >> 12)
    powers: NDArray[np.int64] = value >> whole
    return powers
