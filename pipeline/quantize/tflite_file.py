"""A .tflite as the objects of its schema, to be changed and written again. Needs no TensorFlow."""

from __future__ import annotations

from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

__all__ = ["read_model", "schema", "write_model"]


def read_model(tflite: bytes) -> Any:
    """The `ModelT` of a whole .tflite; the file is not validated."""
    return schema.ModelT.InitFromPackedBuf(tflite, 0)


def write_model(model: Any) -> bytes:
    """The .tflite of a `ModelT`."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
