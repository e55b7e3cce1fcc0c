"""How much memory TensorFlow Lite Micro's interpreter needs for a model."""

from __future__ import annotations

from models.quiet import no_native_log
from pipeline.errors import ThimbleError

__all__ = ["ALIGNMENT", "arena_on_host"]

ALIGNMENT = 16
_MOST = 1 << 26


def arena_on_host(tflite: bytes) -> int:
    """The smallest arena, in bytes, in which `tflite_micro` takes the model on this machine.

    Its pointers have 64 bits, so the interpreter's own records are larger than on the device; activations are the same.

    Raises:
        ThimbleError: TensorFlow Lite Micro refuses the model, however large the arena.
    """
    from tflite_micro.python.tflite_micro import runtime

    def fits(size: int) -> bool:
        try:
            runtime.Interpreter.from_bytes(tflite, arena_size=size)
        except RuntimeError:
            return False
        return True

    with no_native_log():  # it tells of every arena that is too small
        high = 1 << 16
        while not fits(high):
            high *= 2
            if high > _MOST:
                raise ThimbleError(
                    "TensorFlow Lite Micro refuses the model in any arena", "use ops that it has in int8 or int16"
                )
        low = high // 2 if high > 1 << 16 else 0
        while high - low > ALIGNMENT:
            middle = (low + high) // 2 // ALIGNMENT * ALIGNMENT
            if middle == low:
                break
            low, high = (low, middle) if fits(middle) else (middle, high)
    return high
