"""Calls SCons as PlatformIO's own package does."""

import SCons.Script

SCons.Script.main()
