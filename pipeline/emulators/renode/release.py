"""The pinned portable release of Renode: downloaded, checked by its SHA-256, unpacked into `build/renode` of
a clone, or the user's cache.

`thimble renode fetch` (`nox -s renode`) does it. A download that broke off goes on where it
stopped; what is unpacked appears under its name only when it is whole.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import platform
import re
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from pipeline.errors import ThimbleError
from pipeline.resources import cache_folder

__all__ = ["RELEASES", "VERSION", "Release", "fetch", "installed", "release_of_this_system"]

VERSION = "1.17.0"
FOLDER = cache_folder() / "renode"
PAGE = f"https://github.com/renode/renode/releases/tag/v{VERSION}"
_SOURCE = f"https://github.com/renode/renode/releases/download/v{VERSION}"
_ATTEMPTS = 3
_TIMEOUT = 30.0
_CHUNK = 1 << 18

# What an unpacking that leaves its folder raises; Python before 3.11.4 has no filters, and then no unpacking either.
_LEAVES_FOLDER: type[Exception] = getattr(tarfile, "FilterError", tarfile.TarError)


@dataclass(frozen=True)
class Release:
    """An archive: where it is, its bytes and its SHA-256 in hexadecimal."""

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


RELEASES = {
    ("Linux", "x86_64"): Release(
        f"{_SOURCE}/renode-{VERSION}.linux-portable.tar.gz",
        63_459_129,
        "4ba7c68b59e2447f188ef4b4b112fcccd2802582c460beedceb63b84e5605a5f",
    ),
    ("Linux", "aarch64"): Release(
        f"{_SOURCE}/renode-{VERSION}.linux-arm64-portable.tar.gz",
        61_595_258,
        "e9051578411441bfb47b77de0381cfba3badce03663367fab561472fd7807f1f",
    ),
}


def release_of_this_system() -> Release:
    """The archive for this operating system and processor.

    Raises:
        ThimbleError: none is pinned for them.
    """
    system, machine = platform.system(), platform.machine()
    release = RELEASES.get((system, {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine)))
    if release is None:
        raise ThimbleError(
            f"no Renode release is pinned for {system or 'this system'} on {machine or 'this processor'}",
            f"install Renode {VERSION} from {PAGE} and set RENODE to the program, or use --emulator qemu",
        )
    return release


def installed(folder: Path = FOLDER) -> Path | None:
    """Path of the program that `fetch` installed into the folder; None if there is none."""
    program = folder / VERSION / "renode"
    return program if program.is_file() and os.access(program, os.X_OK) else None


def fetch(release: Release, folder: Path = FOLDER, console: Console | None = None) -> Path:
    """Downloads and unpacks a release, unless it is there.

    Args:
        release: the release.
        folder: receives `VERSION/`, and `ARCHIVE.part` while the download is incomplete.
        console: shows the progress; silent without.

    Returns:
        the program `renode`, beside which `renode-test` lies.

    Raises:
        ThimbleError: no network, another digest, a full disk, an archive that cannot be unpacked; the downloaded part
            is kept for the next call, unless it is wrong.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            program = installed(folder)
            if program is not None:
                return program
            part = folder / f"{release.name}.part"
            _download(release, part, console or Console(quiet=True))
            _check(release, part)
            _unpack(part, folder)
            part.unlink()
    except OSError as error:
        raise ThimbleError(
            f"cannot store Renode in {folder}: {error.strerror or error}",
            f"make room there (about 400 MB) or make it writable; then run it again, or install Renode from {PAGE}",
        ) from None
    program = installed(folder)
    if program is None:
        shutil.rmtree(folder / VERSION, ignore_errors=True)
        raise ThimbleError(f"{release.name} holds no program `renode`", f"install Renode {VERSION} from {PAGE}")
    return program


class _Dropped(Exception):
    """The connection ended before the archive did."""


def _download(release: Release, part: Path, console: Console) -> None:
    """Brings the part file to the release's size; goes on where it ends."""
    bars = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    reason = ""
    with Progress(*bars, console=console, transient=True) as progress:
        task = progress.add_task(f"Renode {VERSION}", total=release.size)
        for _ in range(_ATTEMPTS):
            have = part.stat().st_size if part.exists() else 0
            if have >= release.size:
                return
            try:
                _receive(release, part, have, lambda done: progress.update(task, completed=done))
                return
            except urllib.error.HTTPError as error:
                if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    part.unlink(missing_ok=True)
                    continue
                raise ThimbleError(
                    f"{release.url} answers {error.code} {error.reason}", f"look for the file at {PAGE}"
                ) from None
            except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, _Dropped) as error:
                reason = str(getattr(error, "reason", None) or error or type(error).__name__)
    have = part.stat().st_size if part.exists() else 0
    partial = f"; {have / 1e6:.1f} of {release.size / 1e6:.1f} MB are kept" if have else ""
    raise ThimbleError(
        f"cannot download {release.url}: {reason}{partial}",
        "check the network and run it again, it goes on from there; or put the same file, downloaded elsewhere, at "
        f"{part}",
    )


def _receive(release: Release, part: Path, have: int, progress: Callable[[int], object]) -> None:
    headers = {"User-Agent": "thimble", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(release.url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT  # a server without ranges sends the whole file: 200
        if resumed and not re.match(rf"bytes {have}-", answer.headers.get("Content-Range") or ""):
            part.unlink()
            raise _Dropped("the server sent another part than it was asked for")
        done = have if resumed else 0
        with part.open("ab" if resumed else "wb") as out:
            progress(done)
            while done <= release.size and (chunk := answer.read(_CHUNK)):
                out.write(chunk)
                done += len(chunk)
                progress(done)
    if done < release.size:
        raise _Dropped("the connection ended early")


def _check(release: Release, part: Path) -> None:
    digest = hashlib.sha256()
    with part.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if part.stat().st_size != release.size or digest.hexdigest() != release.sha256:
        size = part.stat().st_size
        part.unlink()
        raise ThimbleError(
            f"{release.name} is not what was pinned: {size:,} bytes with SHA-256 {digest.hexdigest()}, "
            f"expected {release.size:,} bytes with {release.sha256}; it was deleted",
            f"run it again; if it stays, something between here and {PAGE} changes the file",
        )


def _unpack(archive: Path, folder: Path) -> None:
    """Beside, then renamed. The archive has one folder at its top, whatever it is called."""
    if not hasattr(tarfile, "data_filter"):
        raise ThimbleError("this Python cannot unpack archives safely", "use Python 3.11.4 or newer")
    for left in folder.glob(".unpacking-*"):
        shutil.rmtree(left, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder))
    try:
        with tarfile.open(archive) as tar:
            needed = sum(member.size for member in tar)
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise ThimbleError(
                    f"Renode takes {needed / 1e6:,.0f} MB in {folder}, where {free / 1e6:,.0f} MB are free",
                    "make room and run it again; the download is kept",
                )
            tar.extractall(beside, filter="data")
        top = list(beside.iterdir())
        if len(top) != 1 or not top[0].is_dir():
            raise ThimbleError(f"{archive.name} does not hold one folder", f"install Renode {VERSION} from {PAGE}")
        target = folder / VERSION
        if target.exists():  # of an installation that somebody damaged: it has no program
            shutil.rmtree(target)
        top[0].rename(target)
    except _LEAVES_FOLDER as error:
        archive.unlink()
        raise ThimbleError(
            f"the archive is refused, it would write outside of its folder: {error}",
            f"install Renode {VERSION} from {PAGE}",
        ) from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        archive.unlink()
        raise ThimbleError(
            f"the archive cannot be unpacked: {error}", "run it again: it was deleted and is fetched anew"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
