"""The workflow that a fork has from its first push: it parses, and what it runs is there."""

from __future__ import annotations

import ast
import re
from typing import Any

import yaml

from pipeline.emulators.renode.release import VERSION
from pipeline.resources import ROOT

WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def nox_sessions() -> set[str]:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("session" in ast.unparse(d) for d in node.decorator_list)
    }


def test_it_runs_on_pushes_and_pull_requests() -> None:
    assert set(WORKFLOW[True]) == {"push", "pull_request"}  # `on` is a truth value in YAML 1.1
    for job in WORKFLOW["jobs"].values():
        assert re.fullmatch(r"ubuntu-\d\d\.04", job["runs-on"])
        assert job["timeout-minutes"] <= 120


def test_its_sessions_and_files_exist() -> None:
    commands = [step["run"] for step in STEPS if "run" in step]
    sessions = [name for command in commands for name in re.findall(r"nox -s (\w+)", command)]
    assert set(sessions) <= nox_sessions()
    assert {"lint", "tests", "renode", "renode_tests"} <= set(sessions)
    assert sessions.index("renode") < sessions.index("renode_tests")
    for command in commands:
        for path in re.findall(r"(?:tests|models)/\S+", command.partition("#")[0]):
            assert (ROOT / path).exists(), path


def test_its_actions_are_pinned_by_major_version() -> None:
    for step in STEPS:
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/(checkout|setup-python|cache|upload-artifact)@v\d+", step["uses"])


def test_its_cache_is_the_pinned_renode() -> None:
    (cache,) = (step["with"] for step in STEPS if step.get("uses", "").startswith("actions/cache@"))
    assert cache["path"] == "build/renode"
    assert f"renode-{VERSION}-" in cache["key"]
