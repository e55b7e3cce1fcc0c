"""A .tflite as the objects of its schema, to be changed and written again. Needs no TensorFlow."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["read_model", "schema", "with_metadata", "write_model"]


def read_model(tflite: bytes) -> Any:
    """The `ModelT` of a whole .tflite; the file is not validated."""
    return schema.ModelT.InitFromPackedBuf(tflite, 0)


def write_model(model: Any) -> bytes:
    """The .tflite of a `ModelT`."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def with_metadata(tflite: bytes, name: str, text: str) -> bytes:
    """The .tflite with a text among its metadata."""
    model = read_model(tflite)
    entry, buffer = schema.MetadataT(), schema.BufferT()
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    entry.name, entry.buffer = name.encode(), len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return write_model(model)
