"""TensorFlow without its native log."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

from pipeline.tools import configure_tensorflow

__all__ = ["load_tensorflow", "no_native_log"]


@contextlib.contextmanager
def no_native_log() -> Iterator[None]:
    """Suppresses native code's standard error, and TensorFlow's warnings."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    saved = os.dup(2)
    with open(os.devnull, "w") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            logger.setLevel(level)


def load_tensorflow() -> None:
    """Imports TensorFlow and Keras 2, which takes seconds and writes about missing GPU drivers."""
    configure_tensorflow()
    with no_native_log():
        import tensorflow
        import tf_keras

        # The native library writes its first lines when it is first asked for devices.
        tensorflow.config.list_physical_devices()
        assert tf_keras.__version__
