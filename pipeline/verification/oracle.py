"""TensorFlow Lite Micro on the host: what the bytes of a decode step are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.frontend.decode_step import require_step_names
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.ir.graph import Graph
from pipeline.errors import ThimbleError, UnsupportedModel
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow
from pipeline.numerics.rope import quantized, rope_matrix_q15

__all__ = ["Oracle"]


class Oracle:
    """A decode step run by `tflite_micro`, with the caches kept as the runtime keeps them.

    Raises:
        ThimbleError: a damaged .tflite, one that is no decode step, or one that TensorFlow Lite Micro refuses.
    """

    def __init__(self, tflite: bytes) -> None:
        self.graph: Graph = read_tflite(tflite)
        require_step_names(self.graph)
        from tflite_micro.python.tflite_micro import runtime

        try:
            self._interpreter = runtime.Interpreter.from_bytes(tflite, arena_size=max(1 << 20, 4 * len(tflite)))
        except RuntimeError as error:
            raise UnsupportedModel(
                f"TensorFlow Lite Micro refuses the model: {error}",
                "use ops that it has in int8 or int16; see its log above",
            ) from None
        self._inputs = {name: self._place(index, True) for name, index in self.graph.inputs.items()}
        self._outputs = {name: self._place(index, False) for name, index in self.graph.outputs.items()}
        logits = self.graph.tensors[self.graph.outputs["logits"]]
        self.vocab, self.logit_scale = logits.columns, logits.scale
        self.kv_window = self.graph.kv_window
        rows = self.graph.tensors[self.graph.inputs["k_cache_0"]].shape[1]
        self.context = self.kv_window.context if isinstance(self.kv_window, StridedWindow) else rows
        self.unbounded = isinstance(self.kv_window, SlidingWindow)
        self.reset()

    def reset(self) -> None:
        """Empties the caches: every row holds the zero point."""
        self.position = 0
        self._caches: dict[str, NDArray[np.signedinteger]] = {}
        for name, index in self.graph.inputs.items():
            if "_cache_" in name:
                tensor = self.graph.tensors[index]
                self._caches[name] = np.full(tensor.shape, tensor.zero_point, tensor.dtype.lower())

    def step(self, token: int) -> NDArray[np.signedinteger]:
        """Feeds one token; returns int8 or int16 logits [vocab].

        Raises:
            ThimbleError: the context is full.
        """
        if self.position >= self.context and not self.unbounded:
            raise ThimbleError(f"the context of {self.context} tokens is full", "give fewer tokens")
        slot = row = self.position
        # The interpreter reuses input memory: every input is set before every step.
        if self.kv_window is not None:
            slot, row = self.kv_window.slot(self.position), self.kv_window.mask_row(self.position)
        if self.unbounded:
            self._set_turn()
        self._interpreter.set_input(np.array([token], np.int32), self._inputs["token"])
        self._interpreter.set_input(np.array([row], np.int32), self._inputs["position"])
        for name, cache in self._caches.items():
            cache[:, slot] = self.graph.tensors[self.graph.inputs[name]].zero_point
            self._interpreter.set_input(cache, self._inputs[name])
        self._interpreter.invoke()
        for name, cache in self._caches.items():
            new = self._interpreter.get_output(self._outputs[name.replace("_cache_", "_new_")])
            if new.shape == cache.shape != (len(cache), 1, cache.shape[2]):
                cache[...] = new  # the step puts its own row in
            else:
                cache[:, slot] = new[:, 0]
        self.position += 1
        return np.array(self._interpreter.get_output(self._outputs["logits"])).reshape(-1)

    def generate(
        self, prompt: Sequence[int], max_new_tokens: int, eos: int
    ) -> tuple[list[int], list[NDArray[np.signedinteger]]]:
        """Decodes greedily after the prompt; returns the tokens without `eos`, and the logits of every step."""
        self.reset()
        logits = [self.step(token) for token in prompt]
        tokens: list[int] = []
        while len(tokens) < max_new_tokens:
            best = int(np.argmax(logits[-1]))
            if best == eos:
                break
            tokens.append(best)
            if (self.position >= self.context and not self.unbounded) or len(tokens) == max_new_tokens:
                break
            logits.append(self.step(best))
        return tokens, logits

    def _set_turn(self) -> None:
        tensor = self.graph.tensors[self.graph.inputs["rotation"]]
        values = rope_matrix_q15(self.position, 2 * tensor.shape[0])
        limits = np.iinfo(np.int8 if tensor.dtype == "INT8" else np.int16)
        self._interpreter.set_input(
            quantized(values, tensor.scale, tensor.zero_point, limits), self._inputs["rotation"]
        )

    def _place(self, index: int, is_input: bool) -> int:
        """The interpreter's own number of a tensor, which is its place in the subgraph's list."""
        tensor_order = self.graph.input_order if is_input else self.graph.output_order
        return tensor_order.index(index)
