"""What a board replies to a sentence, in the form in which the host does."""

from __future__ import annotations

from pipeline.device.protocol import Device
from pipeline.device.understanding import Understanding
from pipeline.errors import DeviceError
from pipeline.numerics.confidence import CERTAIN
from pipeline.verification.reply import Choice, Reply

__all__ = ["ask_device"]


def ask_device(device: Device, sentence: str, max_new: int, is_structured: bool = False) -> Reply:
    """What a board replies; no text and the code of the error where it refuses the sentence.

    Args:
        device: the board.
        sentence: what is said.
        max_new: maximum number of tokens of the answer.
        is_structured: whether the board's model has answer tokens; then only logits that may follow are computed.

    Raises:
        DeviceError: a fault, or no answer by the protocol.
    """
    try:
        if is_structured:
            return _reply_of(device.understand(sentence, max_new))
        answer = device.prompt(sentence, max_new)
    except DeviceError as error:
        if error.code in ("checksum", "fault", "protocol"):
            raise
        return Reply("", None, error.code)
    return Reply(answer.text, answer.confidence, answer.reason)


def _reply_of(said: Understanding) -> Reply:
    choices = tuple(Choice(one.text, round(CERTAIN * one.confidence), one.context) for one in said.choices)
    return Reply(said.text, round(CERTAIN * said.confidence), said.reason, choices, said.context)
