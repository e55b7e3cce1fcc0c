"""Digests of all generated C: a change of the compiler that should not change its output is seen not to.

`python -m tests.golden` checks them, `python -m tests.golden --record` writes them anew, on purpose. The builders of
tests/compiler, which import each other by their bare names, are shared.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "compiler"))
