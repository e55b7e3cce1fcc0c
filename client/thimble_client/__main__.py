"""`python -m thimble_client`: the command `thimble-client`."""

import sys

from .device.command import main

sys.exit(main())
