"""The modules beside the tests (a reader of Renode's files, the mirror of its keywords), and the stand-in model."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "firmware")]
