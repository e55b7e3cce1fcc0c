"""The Arduino core of the tests of the form `arduino`."""

import os

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
core = os.environ["THIMBLE_ARDUINO_CORE"]
env.Append(CPPPATH=[core], CPPDEFINES=[("ARDUINO", 10819)])
env.Prepend(LIBS=[env.BuildLibrary(os.path.join("$BUILD_DIR", "FrameworkArduino"), core)])
