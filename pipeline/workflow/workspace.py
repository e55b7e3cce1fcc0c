"""Where a recipe's artifacts lie, and which of them are still true.

Every stage writes into a folder of its own that appears whole or not at all: it is filled beside its place and renamed.
A stamp in it holds the fingerprint of everything that decides the result (the recipe's part, the content of the
inputs, the modules and data files that made it, versions of tools) and a digest of what was written, so that a stage
runs again exactly when it must.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.errors import ThimbleError
from pipeline.files import digest_files, digest_folder, path_in, walk_files, write_json
from pipeline.workflow.artifacts import StageOutput
from pipeline.workflow.fingerprint import Fingerprint

__all__ = ["Stamp", "State", "Workspace", "target_key"]

STAMP = "stage.json"
_OWN_FILES = (STAMP, ".fingerprint")


class State(Enum):
    """How a stage's result stands; all but CURRENT and OUTDATED make the stage run."""

    CURRENT = "current"
    OUTDATED = "made by older modules or tools, and kept"
    NEW = "not made yet"
    CHANGED = "made from something else"
    DAMAGED = "changed since it was made"
    FORCED = "forced"
    REQUESTED = "asked for"

    @property
    def must_run(self) -> bool:
        """Whether the stage has to run."""
        return self not in (State.CURRENT, State.OUTDATED)


@dataclass(frozen=True)
class Stamp:
    """What a finished stage says of itself.

    Attributes:
        fingerprint: digest of all that decides the result.
        digest: digest of all files that it wrote.
        seconds: how long the work took.
        note: what came out, for people.
        requested, modules, data, tools: the parts of the fingerprint, empty in stamps of version 0.1.
        files: digest of each file, by its path in the stage's folder.
        trained: whether the work was a training.
    """

    fingerprint: str
    digest: str
    seconds: float
    note: str
    requested: Mapping[str, Any] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    trained: bool = False

    def digest_of(self, output: StageOutput[Any]) -> str:
        """Digest of an artifact among the files; empty where there is none."""
        files = {name: content for name, content in self.files.items() if output.matches(name)}
        return digest_folder(files) if files else ""


def target_key(board: str, engine: str) -> str:
    """The name of the folders that hold what differs by board."""
    return f"{board}-{engine}"


class Workspace:
    """The folder `build/<recipe>` and the stages' folders in it."""

    def __init__(self, root: Path, recipe: str) -> None:
        self._root, self._name = root, recipe
        self.folder = root / recipe

    @contextlib.contextmanager
    def locked(self, wait: bool = False) -> Iterator[None]:
        """Holds the folder for one run; a second run at the same time fails, or waits.

        Raises:
            ThimbleError: another run holds it, or the folder cannot be written.
        """
        path_in(self._root, self._name)
        lock = FileLock(self.folder / ".lock", timeout=-1 if wait else 0)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise ThimbleError(
                f"another run is at work in {self.folder}", "wait for it, stop it, or use another --build DIR"
            ) from None
        except OSError as error:
            raise ThimbleError(
                f"cannot write in {self.folder}: {error.strerror}", "mend its permissions or use --build DIR"
            ) from None
        try:
            self._recover()
            yield
        finally:
            lock.release()

    def _recover(self) -> None:
        """Puts in place what a run that was killed between two renames left beside it."""
        for left in [*self.folder.glob(".*.old"), *self.folder.glob("*/.*.old")]:
            place = left.with_name(left.name.removeprefix(".").removesuffix(".old"))
            partial = left.with_name(f".{place.name}.partial")
            if not place.exists():
                is_whole = (partial / STAMP).exists() and not (partial / ".fingerprint").exists()
                (partial if is_whole else left).rename(place)
            if left.exists():
                shutil.rmtree(left)

    def stage(self, stage: str, target_key: str = "") -> Path:
        """The finished folder of a stage; `target_key` is `<board>-<engine>` for what differs by board."""
        return self.folder / stage / target_key if target_key else self.folder / stage

    def stamp(self, stage: str, target_key: str = "") -> Stamp | None:
        """The stamp of a finished stage, or None if missing or unreadable."""
        try:
            data = json.loads((self.stage(stage, target_key) / STAMP).read_text(encoding="utf-8"))
            return Stamp(**data)
        except (OSError, ValueError, TypeError):
            return None

    def path(self, output: StageOutput[Any], target_key: str = "", **fields: str) -> Path:
        """Where an artifact of a stage lies."""
        return output.path(self.stage(output.stage, target_key), **fields)

    def staleness(self, stage: str, target_key: str, fingerprint: Fingerprint, keep: bool = False) -> State:
        """Whether a stage's result is still what the fingerprint describes; with `keep` modules and tools that are
        newer than the result do not count against it."""
        stamp = self.stamp(stage, target_key)
        if stamp is None:
            return State.NEW
        current = stamp.fingerprint == fingerprint.digest
        if not current and not (keep and fingerprint.same_request(stamp.requested)):
            return State.CHANGED
        if digest_folder(digest_files(self.stage(stage, target_key), _OWN_FILES)) != stamp.digest:
            return State.DAMAGED
        return State.CURRENT if current else State.OUTDATED

    def adopt(self, stage: str, target_key: str, fingerprint: Fingerprint) -> None:
        """Lets a result that version 0.1 stamped count as what is asked for now; what made it is not known."""
        stamp = self.stamp(stage, target_key)
        assert stamp is not None, "the stage to adopt is finished"
        folder = self.stage(stage, target_key)
        files = digest_files(folder, _OWN_FILES)
        adopted = dataclasses.replace(stamp, requested=fingerprint.requested, files=files)
        write_json(folder / STAMP, vars(adopted))

    def begin(self, stage: str, target_key: str, fingerprint: str, resumable: bool) -> Path:
        """Creates the folder that the stage fills, beside the finished one. A resumable stage finds there what an
        interrupted run of the same fingerprint left; for others it is empty."""
        folder = self.stage(stage, target_key)
        path_in(self.folder, *filter(None, (stage, target_key)))
        partial = folder.parent / f".{folder.name}.partial"
        mark = partial / ".fingerprint"
        keep = resumable and mark.exists() and mark.read_text(encoding="utf-8") == fingerprint
        if partial.exists() and not keep:
            shutil.rmtree(partial)
        partial.mkdir(parents=True, exist_ok=True)
        mark.write_text(fingerprint, encoding="utf-8")
        return partial

    def finish(
        self,
        stage: str,
        target_key: str,
        partial: Path,
        fingerprint: Fingerprint,
        seconds: float,
        note: str,
        trained: bool = False,
    ) -> Stamp:
        """Renames the filled folder into place; the old one stays intact until then."""
        files = digest_files(partial, _OWN_FILES)
        stamp = Stamp(
            fingerprint=fingerprint.digest,
            digest=digest_folder(files),
            seconds=round(seconds, 2),
            note=note,
            requested=fingerprint.requested,
            modules=fingerprint.modules,
            data=fingerprint.data,
            tools=fingerprint.tools,
            files=files,
            trained=trained,
        )
        self._put(stage, target_key, partial, stamp)
        return stamp

    def _put(self, stage: str, target_key: str, partial: Path, stamp: Stamp) -> None:
        (partial / ".fingerprint").unlink(missing_ok=True)
        write_json(partial / STAMP, vars(stamp))
        folder = self.stage(stage, target_key)
        old = folder.parent / f".{folder.name}.old"
        if old.exists():
            shutil.rmtree(old)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        if old.exists():
            shutil.rmtree(old)

    def link_from(self, store: Workspace, stage: str) -> Stamp:
        """Links a finished stage of another workspace into this one: hard links, or copies where the file system has
        none. Build trees are omitted."""
        stamp = store.stamp(stage)
        assert stamp is not None, "the stage to take is finished"
        source, partial = store.stage(stage), self.begin(stage, "", stamp.fingerprint, resumable=False)
        for path in walk_files(source):
            target = partial / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.name != STAMP:
                _link(path, target)
        self._put(stage, "", partial, stamp)
        return stamp


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
