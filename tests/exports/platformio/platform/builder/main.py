"""Builds an image with the Arm compiler on the PATH; start-up, memory and console are picolibc's."""

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
core = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "--specs=picolibc.specs"]
memory = ("flash=0", "flash_size=0x400000", "ram=0x20000000", "ram_size=0x400000", "stack_size=0x2000")
env.Replace(
    AR="arm-none-eabi-ar",
    AS="arm-none-eabi-as",
    CC="arm-none-eabi-gcc",
    CXX="arm-none-eabi-g++",
    GDB="arm-none-eabi-gdb",
    RANLIB="arm-none-eabi-ranlib",
    SIZETOOL="arm-none-eabi-size",
    LINK="arm-none-eabi-gcc",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
    SIZEPROGREGEXP=r"^(?:\.text|\.data)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.data|\.bss)\s+(\d+).*",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
)
env.Append(
    CCFLAGS=[*core, "-Os", "-Wall", "-ffunction-sections", "-fdata-sections"],
    CXXFLAGS=["-std=gnu++17", "-fno-exceptions", "-fno-rtti"],
    LINKFLAGS=[
        *core,
        "-Wl,--gc-sections",
        "--crt0=semihost",
        "--oslib=semihost",
        *(f"-Wl,--defsym=__{line}" for line in memory),
    ],
)
program = env.BuildProgram()
AlwaysBuild(env.Alias("size", program, env.VerboseAction("$SIZEPRINTCMD", "sizes")))
Default(program)
