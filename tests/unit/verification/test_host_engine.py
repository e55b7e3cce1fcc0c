"""What the host's engine makes of the C statuses."""

from __future__ import annotations

import re

import pytest

from pipeline.errors import ThimbleError
from pipeline.verification.host_engine import RUNTIME, Status, check_status


def test_statuses_are_those_of_the_header() -> None:
    text = (RUNTIME / "thimble.h").read_text(encoding="utf-8")
    body = text.split("typedef int32_t thimble_status;\nenum {", 1)[1].split("};", 1)[0]
    names = re.findall(r"THIMBLE_(\w+)", re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL))
    assert names == [status.name for status in Status]
    assert [int(status) for status in Status] == list(range(len(names))), "C counts from 0"


def test_every_status_but_ok_raises() -> None:
    check_status(Status.OK, 8, 16)
    for status in (*list(Status)[1:], 99, -1):
        with pytest.raises(ThimbleError):
            check_status(status, 8, 16)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.BAD_MEMORY, r"status 1 \(BAD_MEMORY\)"),
        (Status.BAD_TOKEN, "outside of the vocabulary"),
        (Status.CONTEXT_FULL, "context of 16 tokens is full"),
        (Status.FAILED, r"status 4 \(FAILED\)"),
        (Status.NO_TOKENS, "no tokens"),
        (99, r"status 99 \(unknown\)"),
    ],
)
def test_the_error_says_which(status: int, words: str) -> None:
    with pytest.raises(ThimbleError, match=words):
        check_status(status, 8, 16)
