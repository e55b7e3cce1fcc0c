"""The stages of a recipe, one file each, and their registry. May import everything below `sweep` and `bench`.

What each stage does is said here once, and nothing is imported for it.
"""

from __future__ import annotations

__all__ = ["SUMMARIES"]

SUMMARIES = {
    "data": "sample the task's sentences and train the tokenizer",
    "train": "train the Keras model, or take the shipped weights that the recipe describes",
    "distill": "let a larger model teach the trained one, if the recipe asks for it",
    "prune": "prune and fine-tune, if the recipe asks for it",
    "qat": "fine-tune with the integers' rounding, if the recipe asks for it",
    "quantize": "write the full-integer .tflite of the decode step",
    "convert": "compile the .tflite to C, proven against TensorFlow Lite Micro on the host",
    "evaluate": "measure how often the float and the quantized model are right",
    "firmware": "generate and build the firmware project",
    "emulate": "run the firmware on the emulated board and verify tokens, logits and counts",
    "report": "write the pictures and the report",
}
"""What each stage does, in the order of the stages; for the command line, its progress and nox."""
