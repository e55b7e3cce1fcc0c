"""What TensorFlow must find in the environment before the first test imports it: Keras 2, and sums in one order; and
what tests of the interpreter need."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from pipeline import tools
from tests.support.missing_tensorflow import (  # noqa: F401  # hooks
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_runtest_setup,
)
from tests.support.shared_stages import SHARED_STAGES

tools.configure_tensorflow()
# Models are tiny: compiling is what takes time.
_XLA = ("backend_optimization_level=0", "cpu_use_fusion_emitters=false", "cpu_parallel_codegen_split_count=1")
os.environ.setdefault("XLA_FLAGS", " ".join(f"--xla_{flag}" for flag in _XLA))


# Of half a minute and more, longest first: begun last, one of them would keep one processor busy and the others idle.
_LONG_FILES = (
    "e2e/test_whole_way.py",
    "unit/training/test_reproducible.py",
    "unit/tasks/test_home_assistant.py",
    "unit/sweep/test_run.py",
    "unit/training/test_fit_int.py",
    "unit/workflow/test_shipped.py",
    "renode/test_suites.py",
    "e2e/test_imported.py",
    "golden/test_golden.py",
    "emulated/test_answers_on_board.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """A folder in which the processes of one run of the tests share the stages of recipes."""
    if SHARED_STAGES not in os.environ:  # processes of pytest-xdist have it from the one that starts them
        folder = tempfile.TemporaryDirectory(prefix="thimble-stages-")
        os.environ[SHARED_STAGES] = folder.name
        config.add_cleanup(folder.cleanup)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; the other files stay in their order. Marks what `nox -s tests` leaves to `nox -s variants`."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(_LONG_FILES)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for several in cases.values():
        _mark_variants(several)


def _mark_variants(items: list[pytest.Item]) -> None:
    """Of the cases of a test that is marked `variants(keep=N)`, N that lie apart stay, the others are variants."""
    marker = items[0].get_closest_marker("variants")
    if marker is None:
        return
    keep = min(int(marker.kwargs["keep"]), len(items))
    kept = {index * len(items) // keep for index in range(keep)}
    for index, item in enumerate(items):
        if index not in kept:
            item.add_marker("variant")


@pytest.fixture(scope="session")
def cpp_for_arm() -> None:
    """C++ for Arm with its library, which only TensorFlow Lite Micro needs."""
    compiler = shutil.which("arm-none-eabi-g++")
    command = [str(compiler), "-x", "c++", "-fsyntax-only", "-"]
    source = b"#include <cstring>\n"
    if compiler is None or subprocess.run(command, input=source, capture_output=True, check=False).returncode:
        pytest.skip("no C++ for Arm here: docs/tflm.md says what to install")
