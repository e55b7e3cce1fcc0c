"""Talks to a microcontroller with Thimble's firmware over its serial port.

    import thimble_client

    print(thimble_client.understand("/dev/ttyACM0", "turn off the kitchen lights"))

    with thimble_client.connect("/dev/ttyACM0") as board:  # a Device: every request of docs/protocol.md
        print(thimble_client.ask(board, "turn off the kitchen lights").text)

What can be mended is a `ThimbleError` with `what` and `remedy`; a board's refusal is a `DeviceError` with its `code`.
"""

from .device.client import ask, chat, connect, understand
from .device.names import PushedNames, push_names
from .device.protocol import Answer, Device, Info, Names, Prefill, Step
from .device.understanding import Slot, Understanding
from .errors import DeviceError, ThimbleError
from .version import VERSION

__version__ = VERSION
__all__ = [
    "Answer",
    "Device",
    "DeviceError",
    "Info",
    "Names",
    "Prefill",
    "PushedNames",
    "Slot",
    "Step",
    "ThimbleError",
    "Understanding",
    "__version__",
    "ask",
    "chat",
    "connect",
    "push_names",
    "understand",
]
