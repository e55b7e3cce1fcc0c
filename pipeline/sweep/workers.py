"""Where points run: processes on this machine, or tasks on a Ray cluster; to the sweep both are futures."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from pipeline.errors import MissingTool, ThimbleError
from pipeline.resources import ROOT
from pipeline.sweep.trial import Job, Outcome, stop_all

__all__ = ["Measure", "Workers", "workers"]

Measure = Callable[[Job], Outcome]
"""Runs one point and says what came out."""


class Workers(Protocol):
    """Takes points, `jobs` at a time."""

    jobs: int

    def submit(self, job: Job) -> Future[Outcome]:
        """Starts a point, or queues it."""


@contextlib.contextmanager
def workers(measure: Measure, jobs: int | None, ray: str | None) -> Iterator[Workers]:
    """Workers for a sweep; when it is left early, what still runs is ended.

    Args:
        jobs: points at a time; None: one a processor, here or of the cluster.
        ray: the address of a Ray cluster, or None for this machine.

    Raises:
        ThimbleError: Ray is not installed, or no cluster answers there.
    """
    if ray is None:
        with _local(measure, jobs or _processors()) as here:
            yield here
    else:
        with _cluster(measure, jobs, ray) as there:
            yield there


class _Local:
    def __init__(self, measure: Measure, jobs: int, pool: ThreadPoolExecutor) -> None:
        self.jobs, self._measure, self._pool = jobs, measure, pool
        self._futures: list[Future[Outcome]] = []

    def submit(self, job: Job) -> Future[Outcome]:
        self._futures.append(self._pool.submit(self._measure, job))
        return self._futures[-1]

    def end(self) -> None:
        """Cancels pending points and terminates running ones."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        while wait(self._futures, timeout=0.1).not_done:
            stop_all()


@contextlib.contextmanager
def _local(measure: Measure, jobs: int) -> Iterator[Workers]:
    """Threads, each waiting for the process of one point."""
    local = _Local(measure, jobs, ThreadPoolExecutor(jobs, "point"))
    try:
        yield local
    finally:
        local.end()


@contextlib.contextmanager
def _cluster(measure: Measure, jobs: int | None, address: str) -> Iterator[Workers]:
    """Ray tasks of one processor each. A task whose machine is lost is run again elsewhere; its stages go on from what
    lies in the shared folder."""
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise MissingTool("--ray needs the package `ray`", "pip install 'ray>=2.40' (the extra `ray`)") from None
    _reachable(address)
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    try:
        ray.init(address=address, runtime_env=environment, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ThimbleError(
            f"no Ray cluster at {address}: {' '.join(str(error).split())[:200]}",
            "start one with `ray start --head`, which prints its address",
        ) from None

    class Cluster:
        def __init__(self) -> None:
            self.jobs = jobs or max(int(ray.cluster_resources().get("CPU", 1)), 1)
            self._task = ray.remote(num_cpus=1, max_retries=3)(measure)

        def submit(self, job: Job) -> Future[Outcome]:
            future: Future[Outcome] = self._task.remote(job).future()
            return future

    try:
        yield Cluster()
    finally:
        ray.shutdown()


def _reachable(address: str) -> None:
    """Checks the address first, since Ray retries an unreachable one for minutes.

    Raises:
        ThimbleError: nobody does; other addresses than HOST:PORT are Ray's to judge.
    """
    match = re.fullmatch(r"(?:ray://)?([^/:]+):(\d+)", address)
    if match is None:
        return
    try:
        socket.create_connection((match[1], int(match[2])), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ThimbleError(
            f"no Ray cluster at {address}: {error}", "start one with `ray start --head`, which prints its address"
        ) from None


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
