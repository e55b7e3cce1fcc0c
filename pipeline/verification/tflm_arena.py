"""How much memory TensorFlow Lite Micro's interpreter needs for a model."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from pipeline.errors import UnsupportedModel

__all__ = ["ALIGNMENT", "arena_on_host"]

ALIGNMENT = 16
_MAX_ARENA_BYTES = 1 << 26


def arena_on_host(tflite: bytes) -> int:
    """The smallest arena, in bytes, in which `tflite_micro` takes the model on this machine.

    Its pointers have 64 bits, so the interpreter's own records are larger than on the device; activations are the same.

    Raises:
        ThimbleError: TensorFlow Lite Micro refuses the model, however large the arena.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(tflite)
        with _Trials(path) as trials:
            high = 1 << 16
            while not trials.fits(high):
                high *= 2
                if high > _MAX_ARENA_BYTES:
                    raise UnsupportedModel(
                        "TensorFlow Lite Micro refuses the model in any arena", "use ops that it has in int8 or int16"
                    )
            low = high // 2 if high > 1 << 16 else 0
            while high - low > ALIGNMENT:
                middle = (low + high) // 2 // ALIGNMENT * ALIGNMENT
                if middle == low:
                    break
                low, high = (low, middle) if trials.fits(middle) else (middle, high)
    return high


class _Trials:
    """Interpreters made in a process of their own: in too small an arena some kernels do not fail, they crash."""

    def __init__(self, tflite: Path) -> None:
        self._tflite = tflite
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> _Trials:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()

    def fits(self, size: int) -> bool:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", __name__, str(self._tflite)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # it logs every arena that is too small
                text=True,
            )
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(f"{size}\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline().strip()
        if not answer:
            self._child.communicate()
            self._child = None
        return answer == "fits"


def _answer(path: Path) -> None:
    """For each size, a line: `fits` or `small`."""
    from tflite_micro.python.tflite_micro import runtime

    tflite = path.read_bytes()
    for line in sys.stdin:
        try:
            runtime.Interpreter.from_bytes(tflite, arena_size=int(line))
        except RuntimeError:
            print("small", flush=True)
        else:
            print("fits", flush=True)


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
