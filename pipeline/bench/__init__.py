"""Measured comparisons on emulated cores and of methods. May import everything below `commands`."""
