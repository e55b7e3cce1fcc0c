"""Where a recipe's artifacts lie, and which of them are still true.

Every stage writes into a folder of its own that appears whole or not at all: it is filled beside its place and renamed.
A stamp in it holds the fingerprint of everything that the stage read (its part of the recipe, the content of its
inputs, the sources that made it) and a digest of what it wrote, so that a stage runs again exactly when it must.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import ThimbleError
from pipeline.files import digest_folder, walk_files, write_json
from pipeline.resources import ROOT

__all__ = ["Stamp", "Workspace", "digest_sources"]

STAMP = "stage.json"
_OWN_FILES = (STAMP, ".fingerprint")


@dataclass(frozen=True)
class Stamp:
    """What a finished stage says of itself."""

    fingerprint: str
    digest: str
    seconds: float
    note: str


class Workspace:
    """The folder `build/<recipe>` and the stages' folders in it."""

    def __init__(self, root: Path, recipe: str) -> None:
        self.folder = root / recipe

    @contextlib.contextmanager
    def locked(self, wait: bool = False) -> Iterator[None]:
        """Holds the folder for one run; a second run at the same time is told so, or waits.

        Raises:
            ThimbleError: another run holds it, or the folder cannot be written.
        """
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
            yield
        finally:
            lock.release()

    def stage(self, stage: str, target_key: str = "") -> Path:
        """The finished folder of a stage; `target_key` is `<board>-<engine>` for what differs by board."""
        return self.folder / stage / target_key if target_key else self.folder / stage

    def stamp(self, stage: str, target_key: str = "") -> Stamp | None:
        """The stamp of a finished stage, or None where there is none that can be read."""
        try:
            data = json.loads((self.stage(stage, target_key) / STAMP).read_text(encoding="utf-8"))
            return Stamp(**data)
        except (OSError, ValueError, TypeError):
            return None

    def staleness(self, stage: str, target_key: str, fingerprint: str) -> str:
        """Why a stage must run: `new`, `changed` inputs, `damaged` output; empty when it need not."""
        stamp = self.stamp(stage, target_key)
        if stamp is None:
            return "new"
        if stamp.fingerprint != fingerprint:
            return "changed"
        return "" if digest_folder(self.stage(stage, target_key), _OWN_FILES) == stamp.digest else "damaged"

    def begin(self, stage: str, target_key: str, fingerprint: str, resumable: bool) -> Path:
        """A folder to fill beside the finished one. A resumable stage finds there what an interrupted run of the
        same fingerprint left; for others it is empty."""
        folder = self.stage(stage, target_key)
        partial = folder.parent / f".{folder.name}.partial"
        mark = partial / ".fingerprint"
        keep = resumable and mark.exists() and mark.read_text(encoding="utf-8") == fingerprint
        if partial.exists() and not keep:
            shutil.rmtree(partial)
        partial.mkdir(parents=True, exist_ok=True)
        mark.write_text(fingerprint, encoding="utf-8")
        return partial

    def finish(self, stage: str, target_key: str, partial: Path, fingerprint: str, seconds: float, note: str) -> Stamp:
        """Puts the filled folder in its place; until the rename the old one stays whole."""
        (partial / ".fingerprint").unlink(missing_ok=True)
        stamp = Stamp(fingerprint, digest_folder(partial, _OWN_FILES), round(seconds, 2), note)
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
        return stamp

    def link_from(self, store: Workspace, stage: str, fingerprint: str) -> Stamp:
        """Makes another workspace's finished stage this one's too: its files by hard links, or copied where the file
        system has none. Build trees are left out."""
        stamp = store.stamp(stage)
        assert stamp is not None, "the stage to take is finished"
        source, partial = store.stage(stage), self.begin(stage, "", fingerprint, resumable=False)
        for path in walk_files(source):
            target = partial / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.name != STAMP:
                _link(path, target)
        return self.finish(stage, "", partial, fingerprint, stamp.seconds, stamp.note)


def digest_sources(patterns: Iterable[str]) -> str:
    """SHA-256 over the project's own source files that the glob patterns (from the repository's root) match."""
    digest = hashlib.sha256()
    for pattern in sorted(patterns):
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
