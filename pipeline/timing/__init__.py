"""Time on a board's clock: an execution trace, a cost table for the core, and a model of the flash in front of it.

code       what the image's instructions are: class, operands, functions, inlined frames
cores      cycles of each instruction class by core, from `cores.yaml` (each number with its source)
flash      wait states, with and without caches
trace      QEMU's execution log, as blocks of instructions
profile    a shadow call stack over the blocks; counts by step and by function
measure    all of it for one prompt on a board
folded     collapsed stacks
"""
