"""The download of Renode, against a server on this machine: whole, resumed, refused, wrong, hostile."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import random
import re
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.main import main
from pipeline.emulators.renode import release
from pipeline.emulators.renode.release import RELEASES, VERSION, Release, fetch, installed, release_of_this_system
from pipeline.errors import ThimbleError

Change = Callable[[tarfile.TarFile], None]


def member(tar: tarfile.TarFile, name: str, content: bytes = b"", mode: int = 0o644, **more: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    for key, value in more.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(content))


def archive(change: Change | None = None, program: bool = True) -> bytes:
    """A portable release in small; not compressible, so that it is longer than a network buffer or two."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        if program:
            member(tar, "renode_9-portable/renode", b"#!/bin/sh\necho 'Renode v1.17.0'\n", 0o755)
        member(tar, "renode_9-portable/renode-test", b"#!/bin/sh\n", 0o755)
        noise = random.Random(0).randbytes(2_000_000)
        member(tar, "renode_9-portable/platforms/cpus/x.repl", noise)
        if change is not None:
            change(tar)
    return out.getvalue()


class Server:
    """Serves `content`; its fields control its behaviour, `ranges` holds the requested ranges."""

    def __init__(self) -> None:
        self.content = archive()
        self.ranges: list[str | None] = []
        self.knows_ranges = True
        self.lies_about_range = False
        self.break_after: int | None = None  # bytes, once
        self.status: int | None = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                range_header = self.headers.get("Range")
                outer.ranges.append(range_header)
                if outer.status is not None:
                    self.send_error(outer.status)
                    return
                start = 0
                if range_header and outer.knows_ranges:
                    start = int(re.fullmatch(r"bytes=(\d+)-", range_header)[1])  # type: ignore[index]
                    if start >= len(outer.content):
                        self.send_error(416)
                        return
                    self.send_response(206)
                    range_start = start + 1 if outer.lies_about_range else start
                    self.send_header(
                        "Content-Range", f"bytes {range_start}-{len(outer.content) - 1}/{len(outer.content)}"
                    )
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(outer.content) - start))
                self.end_headers()
                end = len(outer.content)
                if outer.break_after is not None:
                    end, outer.break_after = start + outer.break_after, None
                self.wfile.write(outer.content[start:end])

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def release(self) -> Release:
        url = f"http://127.0.0.1:{self.http.server_port}/renode-9.linux-portable.tar.gz"
        return Release(url, len(self.content), hashlib.sha256(self.content).hexdigest())


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_the_whole_release_arrives_once(server: Server, tmp_path: Path) -> None:
    program = fetch(server.release, tmp_path / "renode")
    assert program == tmp_path / "renode" / VERSION / "renode" == installed(tmp_path / "renode")
    assert program.stat().st_mode & 0o100
    assert (program.parent / "platforms" / "cpus" / "x.repl").stat().st_size == 2_000_000
    assert left_in(tmp_path / "renode") == [VERSION]
    assert fetch(server.release, tmp_path / "renode") == program
    assert server.ranges == [None]


def test_a_connection_that_breaks_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    server.break_after = 300_000
    assert fetch(server.release, tmp_path).is_file()
    assert server.ranges[0] is None and len(server.ranges) == 2
    assert int(re.fullmatch(r"bytes=(\d+)-", server.ranges[1] or "")[1]) >= 262_144  # type: ignore[index]


def test_a_download_of_yesterday_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{server.release.name}.part").write_bytes(server.content[:1000])
    assert fetch(server.release, tmp_path).is_file()
    assert server.ranges == ["bytes=1000-"]


@pytest.mark.parametrize("how", ["knows no ranges", "sends another range"])
def test_a_server_that_cannot_resume_sends_it_whole(server: Server, tmp_path: Path, how: str) -> None:
    server.knows_ranges = how != "knows no ranges"
    server.lies_about_range = how == "sends another range"
    (tmp_path / f"{server.release.name}.part").write_bytes(b"?" * 1000)
    assert fetch(server.release, tmp_path).is_file()
    assert server.ranges == (["bytes=1000-", None] if server.knows_ranges else ["bytes=1000-"])


def test_a_whole_part_needs_no_network(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{server.release.name}.part").write_bytes(server.content)
    assert fetch(server.release, tmp_path).is_file()
    assert server.ranges == []


def test_no_network_is_an_error_that_keeps_what_came(server: Server, tmp_path: Path) -> None:
    release = server.release
    part = tmp_path / f"{release.name}.part"
    part.write_bytes(server.content[:5000])
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(ThimbleError, match=r"cannot download http://127.*0\.0 of .* are kept") as caught:
        fetch(release, tmp_path)
    assert "check the network" in caught.value.remedy and str(part) in caught.value.remedy
    assert part.read_bytes() == server.content[:5000]


@pytest.mark.parametrize("status", [404, 503])
def test_a_server_that_refuses_is_an_error(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(ThimbleError, match=f"answers {status}"):
        fetch(server.release, tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("wrong", ["content", "longer"])
def test_another_file_than_the_pinned_one_is_deleted(server: Server, tmp_path: Path, wrong: str) -> None:
    release = server.release
    server.content = server.content[:-1] + b"?" if wrong == "content" else server.content + b"?" * 1_000_000
    with pytest.raises(ThimbleError, match="not what was pinned"):
        fetch(release, tmp_path)
    assert left_in(tmp_path) == []


def test_a_part_that_is_too_long_is_not_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{server.release.name}.part").write_bytes(server.content + b"?")
    with pytest.raises(ThimbleError, match="not what was pinned"):
        fetch(server.release, tmp_path)
    assert fetch(server.release, tmp_path).is_file()


def test_a_truncated_archive_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.content = server.content[: len(server.content) // 2]  # its digest is then the pinned one
    with pytest.raises(ThimbleError, match="cannot be unpacked"):
        fetch(server.release, tmp_path)
    assert left_in(tmp_path) == []


HOSTILE: dict[str, Change] = {
    "parent": lambda tar: member(tar, "renode_9-portable/../../escaped", b"x"),
    "absolute link": lambda tar: member(tar, "renode_9-portable/l", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "link out": lambda tar: member(tar, "renode_9-portable/l", type=tarfile.SYMTYPE, linkname="../../../x"),
    "hard link out": lambda tar: member(tar, "renode_9-portable/l", type=tarfile.LNKTYPE, linkname="../../x"),
    "device": lambda tar: member(tar, "renode_9-portable/d", type=tarfile.CHRTYPE),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_an_archive_that_leaves_its_folder_is_refused(server: Server, tmp_path: Path, how: str) -> None:
    server.content = archive(HOSTILE[how])
    with pytest.raises(ThimbleError, match="would write outside"):
        fetch(server.release, tmp_path / "in" / "renode")
    assert left_in(tmp_path / "in" / "renode") == []
    assert not list(tmp_path.rglob("escaped"))


def test_an_archive_without_the_program_is_an_error(server: Server, tmp_path: Path) -> None:
    server.content = archive(program=False)
    with pytest.raises(ThimbleError, match="holds no program"):
        fetch(server.release, tmp_path)
    assert left_in(tmp_path) == []
    server.content = archive(lambda tar: member(tar, "second/file", b"x"))
    with pytest.raises(ThimbleError, match="does not hold one folder"):
        fetch(server.release, tmp_path)
    assert not (tmp_path / VERSION).exists()


def test_a_full_disk_is_an_error_that_keeps_what_came(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Little:
        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Little)
    with pytest.raises(ThimbleError, match="are free"):
        fetch(server.release, tmp_path)
    assert left_in(tmp_path) == [f"{server.release.name}.part"]
    monkeypatch.undo()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    with pytest.raises(ThimbleError, match="No space left on device") as caught:
        fetch(server.release, tmp_path)
    assert "make room" in caught.value.remedy
    assert left_in(tmp_path) == [f"{server.release.name}.part"]
    monkeypatch.undo()
    assert fetch(server.release, tmp_path).is_file()
    assert server.ranges == [None]


def test_a_home_that_cannot_be_written_is_named(server: Server) -> None:
    """`/proc` refuses root too."""
    with pytest.raises(ThimbleError, match="cannot store Renode in /proc/nowhere") as caught:
        fetch(server.release, Path("/proc/nowhere"))
    assert "make it writable" in caught.value.remedy


def test_what_an_ended_run_left_is_cleared(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".unpacking-old" / "renode").mkdir(parents=True)
    (tmp_path / VERSION).mkdir()
    assert fetch(server.release, tmp_path).is_file()
    assert left_in(tmp_path) == [VERSION]


def test_the_release_of_this_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for machine, end in (("x86_64", ".linux-portable.tar.gz"), ("arm64", ".linux-arm64-portable.tar.gz")):
        monkeypatch.setattr("platform.system", lambda: "Linux")
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        release = release_of_this_system()
        assert release.url.endswith(f"/v{VERSION}/renode-{VERSION}{end}")
        assert re.fullmatch("[0-9a-f]{64}", release.sha256)
    assert len({release.sha256 for release in RELEASES.values()}) == len(RELEASES)
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(ThimbleError, match="no Renode release is pinned for Darwin on arm64") as caught:
        release_of_this_system()
    assert "RENODE" in caught.value.remedy


def test_the_command_tells_what_is_wrong(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "release_of_this_system", lambda: server.release)
    monkeypatch.setattr(release.fetch, "__defaults__", (tmp_path, None))
    monkeypatch.setattr(release.installed, "__defaults__", (tmp_path,))
    server.status = 404
    assert main(["renode", "fetch"]) == 1
    assert "fix:" in capsys.readouterr().err
    server.status = None
    assert main(["renode", "fetch"]) == 0
    assert str(tmp_path) in capsys.readouterr().out.replace("\n", "")
    assert main(["renode", "fetch"]) == 0
    assert "already" in capsys.readouterr().out
