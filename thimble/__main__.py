"""`python -m thimble`: the command `thimble`."""

import sys

from pipeline.commands.main import main

sys.exit(main())
