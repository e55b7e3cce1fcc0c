"""What TensorFlow must find in the environment before the first test imports it: Keras 2, and sums in one order; and
what tests of the interpreter need."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pipeline import tools
from tests.support.missing_tensorflow import (  # noqa: F401  # hooks
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_runtest_setup,
)

tools.configure_tensorflow()
# Models are tiny: compiling is what takes time.
_XLA = ("backend_optimization_level=0", "cpu_use_fusion_emitters=false", "cpu_parallel_codegen_split_count=1")
os.environ.setdefault("XLA_FLAGS", " ".join(f"--xla_{flag}" for flag in _XLA))


@pytest.fixture(scope="session")
def cpp_for_arm() -> None:
    """C++ for Arm with its library, which only TensorFlow Lite Micro needs."""
    compiler = shutil.which("arm-none-eabi-g++")
    command = [str(compiler), "-x", "c++", "-fsyntax-only", "-"]
    source = b"#include <cstring>\n"
    if compiler is None or subprocess.run(command, input=source, capture_output=True, check=False).returncode:
        pytest.skip("no C++ for Arm here: docs/tflm.md says what to install")
