"""Where TensorFlow is not installed (`nox -s fast`), tests that need it are skipped: those that import it on their way.

No list is kept. With TensorFlow these hooks do nothing, so that nothing is skipped in the environment with everything.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Generator

import pytest

MODULES = ("tensorflow", "tf_keras", "tensorflow_model_optimization")
ABSENT = importlib.util.find_spec("tensorflow") is None
NO_MODULE = re.compile(rf"No module named '({'|'.join(MODULES)})\b")


def needs_tensorflow(error: BaseException | None) -> bool:
    """Whether an exception comes from the import of TensorFlow, be it at the end of a chain."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in MODULES:
            return True
        error = error.__cause__ or error.__context__
    return False


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if ABSENT and report.failed and NO_MODULE.search(str(report.longrepr)):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, "Skipped: needs TensorFlow")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if ABSENT and report.failed and call.excinfo is not None and needs_tensorflow(call.excinfo.value):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, "Skipped: needs TensorFlow")
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The marker is for tests that see the error of a command instead of the import's."""
    if ABSENT and item.get_closest_marker("tensorflow"):
        pytest.skip("needs TensorFlow")
