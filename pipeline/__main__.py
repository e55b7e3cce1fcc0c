"""`python -m pipeline`: the command `thimble`."""

import sys

from pipeline.commands.main import main

sys.exit(main())
