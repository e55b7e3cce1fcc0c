"""The order of a KV cache's rows, read from a graph."""

from __future__ import annotations

from pipeline.compiler.ir.graph import Graph
from pipeline.errors import ThimbleError
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow, window_from_mask

__all__ = ["find_kv_window"]


def find_kv_window(graph: Graph) -> SlidingWindow | StridedWindow | None:
    """The sliding window of the KV caches: unbounded where `rotation` is an input, else read from the mask's rows; None
    where the cache has a row for each position.

    Raises:
        ThimbleError: there is no mask of a ring.
    """
    rows, position = graph.tensors[graph.inputs["k_cache_0"]].shape[1], graph.inputs["position"]
    looked_up = [graph.tensors[op.inputs[0]] for op in graph.ops if op.kind == "GATHER" and op.inputs[1] == position]
    masks = [table for table in looked_up if len(table.shape) == 2 and table.shape[1] == rows + 1]
    if "rotation" in graph.inputs:
        if not masks or not rows <= masks[0].shape[0] <= 2 * rows:
            raise ThimbleError("the .tflite has an input `rotation`, and no mask of a ring", "run the `quantize` stage")
        return SlidingWindow(rows, 2 * rows - masks[0].shape[0])
    longer = [table.data for table in masks if table.data is not None and table.shape[0] > rows]
    return window_from_mask(longer[0] == longer[0].max()) if longer else None
