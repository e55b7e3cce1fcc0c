"""Lowers the operators with int16 activations; layout operators and places are those of `lower`."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler import arithmetic_s16 as arithmetic
from pipeline.compiler.arithmetic import product_multiplier
from pipeline.compiler.graph import Op, Tensor
from pipeline.compiler.packing_s16 import by_fours, fits_pairs, fits_rows, high_word_multipliers, pack_pairs, reach
from pipeline.compiler.patterns import RESHAPE_OPS, Attention, Rotary
from pipeline.compiler.patterns_s16 import Root, find_roots, find_rows, is_int16
from pipeline.compiler.program import POSITION, SLOT, TIME, TOKEN, Constant, View
from pipeline.numerics import fixed_point as fp
from pipeline.targets.cores import WeightLayout

if TYPE_CHECKING:
    from pipeline.compiler.lower import _Lowering

__all__ = ["Int16Ops"]

_INDICES = {"token": TOKEN, "position": TIME}
_LAYOUT = (*RESHAPE_OPS, "SPLIT", "CONCATENATION", "TRANSPOSE")
_INT32 = 2  # TensorType of a bias, in FULLY_CONNECTED's options
_MAX_SHIFT = 7  # of a sum of 64 bits
_MAX_SOFTMAX_SHIFT = 13  # of a difference of scores
_STRIDED = ("ADD", "SUB", "MUL", "RELU", "RELU6")  # kernels that can write into a part of a row


class Int16Ops:
    """The int16 part of a lowering: which operators it takes, and their calls."""

    def __init__(self, base: _Lowering, attentions: list[Attention], rotaries: list[Rotary]) -> None:
        self.base = base
        self.graph = base.graph
        self.rows = find_rows(self.graph)
        self.roots = {root.ops[0]: root for root in find_roots(self.graph)}
        self.attentions = {match.ops[-1]: match for match in attentions if self._fits(match)}
        self.fused = {op for root in self.roots.values() for op in root.ops}
        self.fused |= {op for attention in self.attentions.values() for op in attention.ops}
        self.rotaries = {match.ops[-1]: match for match in rotaries if self._fits_fused_rope(match)}
        self.fused |= {op for rotary in self.rotaries.values() for op in rotary.ops}

    def lower(self, op_index: int, op: Op) -> bool:
        """Lowers the operator; False if it is not an int16 operator."""
        if op_index in self.roots:
            self._root(self.roots[op_index])
        elif op_index in self.attentions:
            self._attention(self.attentions[op_index])
        elif op_index in self.rotaries:
            self._rotary(self.rotaries[op_index])
        elif op_index in self.fused or self._is_table(op):
            return True
        elif op.kind in _LAYOUT or not any(
            self._tensor(index).dtype == "INT16" for index in (*op.inputs[:1], *op.outputs)
        ):
            return False
        else:
            self._lower(op)
        return True

    def table(self, index: int) -> View | None:
        """The row of a constant table that the tensor is, None if it is none."""
        row = self.rows.get(index)
        if row is None or self._tensor(index).dtype != "INT16":
            return None
        width = row.table.shape[1]
        constant = Constant(
            f"{row.index}_table_{index}", "int16_t", row.table.astype(np.int16).reshape(-1), weights=True
        )
        name = self.base._constant(constant)
        return View("constant", name, 1, width, width, f"{_INDICES[row.index]} * {width}", "int16_t")

    def written_in_place(self, index: int) -> bool:
        """Whether the kernel that makes an int16 tensor, or one from int16, can leave gaps between its rows."""
        op = self.graph.producer(index)
        tensors = (self._tensor(index), *(self._tensor(source) for source in (op.inputs[:1] if op else ())))
        if all(tensor.dtype != "INT16" for tensor in tensors):
            return True
        scaled = op is not None and op.kind == "QUANTIZE" and is_int16(*tensors)
        return op is not None and index not in self.rows and (op.kind in _STRIDED or scaled)

    def _fits(self, attention: Attention) -> bool:
        """Whether it is one of int16, and inside of what the fused kernel takes."""
        q, k, scores = (self._tensor(index) for index in (attention.q, attention.k_cache, attention.scores))
        p, v, out = (self._tensor(index) for index in (attention.probabilities, attention.v_cache, attention.out))
        mask, masked = self._tensor(attention.mask), self._tensor(attention.masked_scores)
        if not is_int16(q, k, scores, p, v, out, mask, masked) or k.shape[1] >= 1024:
            return False
        # A score's sum is below head_dim * 2^30, and what comes of it is to fit 32 bits.
        score_fits = q.columns.bit_length() + 30 + product_multiplier(q, k, scores)[1] <= 30
        out_fits = high_word_multipliers([product_multiplier(p, v, out)]) is not None
        softmax = arithmetic.softmax_multiplier(masked.scale, attention.beta)
        c = arithmetic.AddConstants.prepare(scores, mask, masked, attention.activation, 1)
        return score_fits and out_fits and softmax[1] <= _MAX_SOFTMAX_SHIFT and c.out[1] < 0

    def _fits_fused_rope(self, rotary: Rotary) -> bool:
        """Whether it is one of int16, and inside of what the fused kernel takes."""
        x, rotation, out = (self._tensor(index) for index in (rotary.x, rotary.rotation, rotary.out))
        fits = is_int16(x, rotation, out) and product_multiplier(x, rotation, out)[1] <= _MAX_SHIFT
        return fits and rotary.rope_offset is None

    def _tensor(self, index: int) -> Tensor:
        return self.graph.tensors[index]

    def _is_table(self, op: Op) -> bool:
        """Whether what the operator makes is read from a table, or is a byte of one."""
        out = op.outputs[0]
        if out not in self.rows:
            return False
        if self._tensor(out).dtype == "INT16":
            return True
        consumers = self.graph.consumers(out)
        return (
            bool(consumers)
            and out not in self.graph.outputs.values()
            and all(
                consumer.outputs[0] in self.rows
                and (self._tensor(consumer.outputs[0]).dtype == "INT16" or self._is_table(consumer))
                for consumer in consumers
            )
        )

    def _lower(self, op: Op) -> None:
        lowering = {
            "ADD": self._add,
            "SUB": self._add,
            "MUL": self._mul,
            "FULLY_CONNECTED": self._fully_connected,
            "BATCH_MATMUL": self._batch_matmul,
            "SOFTMAX": self._softmax,
            "MEAN": self._mean,
            "LOGISTIC": self._sigmoid,
            "TANH": self._sigmoid,
            "QUANTIZE": self._quantize,
            "RELU": self._scale,
            "RELU6": self._scale,
        }.get(op.kind)
        if lowering is None:
            raise self.base._unsupported(op, "int16 activations", "int8 for this operator, as in TensorFlow Lite Micro")
        lowering(op)

    def _check(self, op: Op, *tensors: Tensor) -> None:
        if not is_int16(*tensors):
            raise self.base._unsupported(op, "operands of other types", "int16 tensors with one scale and zero point 0")

    def _call(
        self,
        kernel: str,
        arguments: str,
        reads: list[View],
        writes: list[View],
        name: str = "",
        fields: Mapping[str, object] | None = None,
        **facts: object,
    ) -> None:
        """One kernel call, with the constant parameters of its struct where there are any."""
        first = f"&{name}, " if fields is not None else ""
        declaration = "" if fields is None else self.base._parameters(f"{kernel}_params", name, dict(fields))
        self.base._call(f"{kernel}({first}{arguments});", reads, writes, declaration=declaration, **facts)

    # --- element by element

    def _add(self, op: Op) -> None:
        a, b, out_tensor = (self._tensor(index) for index in (*op.inputs, op.outputs[0]))
        self._check(op, a, b, out_tensor)
        c = arithmetic.AddConstants.prepare(a, b, out_tensor, self.base._activation(op), 1 if op.kind == "ADD" else -1)
        if c.out[1] >= 0:
            raise self.base._unsupported(op, "an output scale far below the inputs'", "an output that int16 can hold")
        out = self.base._allocate(out_tensor)
        texts, views, rows, columns = self.base._operands(op, out)
        texts = texts[::-1] if c.swapped else texts
        name = f"{'sum' if op.kind == 'ADD' else 'difference'}_{out_tensor.index}"
        arguments = f"{texts[0]}, {texts[1]}, {out.pointer}, {out.stride}, {rows}, {columns}"
        self._call("thimble_add_s16", arguments, views, [out], name, c.fields)

    def _mul(self, op: Op) -> None:
        a, b, out_tensor = (self._tensor(index) for index in (*op.inputs, op.outputs[0]))
        self._check(op, a, b, out_tensor)
        multiplier, shift = fp.quantize_multiplier(a.scale * b.scale / out_tensor.scale)
        if shift > 0:
            raise self.base._unsupported(op, "an output scale below the product's", "an output that int16 can hold")
        out = self.base._allocate(out_tensor)
        texts, views, rows, columns = self.base._operands(op, out)
        low, high = arithmetic.activation_range(out_tensor, self.base._activation(op))
        fields = {"out_multiplier": multiplier, "out_shift": shift, "out_min": low, "out_max": high}
        arguments = f"{texts[0]}, {texts[1]}, {out.pointer}, {out.stride}, {rows}, {columns}"
        self._call("thimble_mul_s16", arguments, views, [out], f"product_{out_tensor.index}", fields)

    def _scale(self, op: Op) -> None:
        """RELU, RELU6 and QUANTIZE to another int16 scale."""
        tensor, out_tensor = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        self._check(op, tensor, out_tensor)
        ratio = tensor.scale / out_tensor.scale
        low, high = arithmetic.LOW, arithmetic.HIGH
        if op.kind == "RELU6":  # clamps and does not rescale
            ratio = 1.0
            low, high = arithmetic.activation_range(tensor, 3)
        elif op.kind == "RELU":  # divides floats
            ratio, low = float(np.float32(tensor.scales[0]) / np.float32(out_tensor.scales[0])), 0
        multiplier, shift = fp.quantize_multiplier(ratio)
        if shift > 14:
            raise self.base._unsupported(op, "an output scale far below the input's", "an output that int16 can hold")
        out = self.base._allocate(out_tensor)
        texts, views, rows, columns = self.base._operands(op, out)
        fields = {"multiplier": multiplier, "shift": shift, "out_min": low, "out_max": high}
        arguments = f"{texts[0]}, {out.pointer}, {out.stride}, {rows}, {columns}"
        self._call("thimble_scale_s16", arguments, views, [out], f"scale_{out_tensor.index}", fields)

    def _quantize(self, op: Op) -> None:
        tensor, out_tensor = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        if tensor.dtype == out_tensor.dtype:
            return self._scale(op)
        wide, narrow = (tensor, out_tensor) if tensor.dtype == "INT16" else (out_tensor, tensor)
        if not is_int16(wide) or narrow.dtype != "INT8" or narrow.scales.size != 1:
            raise self.base._unsupported(op, f"{tensor.dtype} to {out_tensor.dtype}", "int8 and int16 with one scale")
        multiplier, shift = fp.quantize_multiplier(tensor.scale / out_tensor.scale)
        if shift > (14 if tensor is wide else 22):
            raise self.base._unsupported(
                op, "an output scale far below the input's", "an output that the type can hold"
            )
        x = self.base._contiguous(tensor.index)
        out = self.base._allocate(out_tensor)
        kernel = "thimble_quantize_s16_s8" if tensor is wide else "thimble_quantize_s8_s16"
        arguments = f"{x.pointer}, {narrow.zero_point}, {multiplier}, {shift}, {out.pointer}, {tensor.size}"
        self._call(kernel, arguments, [x], [out])

    def _sigmoid(self, op: Op) -> None:
        tensor, out_tensor = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        self._check(op, tensor, out_tensor)
        multiplier, shift = arithmetic.sigmoid_scale(op.kind, tensor.scale)
        if multiplier > arithmetic.HIGH or out_tensor.scale != 2.0**-15:
            raise self.base._unsupported(op, "these scales", "an input scale below 2.6 and an output scale of 2^-15")
        x = self.base._contiguous(tensor.index)
        out = self.base._allocate(out_tensor)
        table = self.base._constant(Constant("sigmoid_s16", "uint16_t", arithmetic.sigmoid_table()))
        arguments = f"{table}, {multiplier}, {shift}, {x.pointer}, {out.pointer}, {tensor.size}"
        self._call(f"thimble_{op.kind.lower()}_s16", arguments, [x], [out])

    # --- rows

    def _mean(self, op: Op) -> None:
        tensor, out_tensor = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        self._check(op, tensor, out_tensor)
        axes, rank = self._tensor(op.inputs[1]).data, len(tensor.shape)
        if axes is None or [int(axis) % rank for axis in axes.reshape(-1)] != [rank - 1] or tensor.columns > 32768:
            raise self.base._unsupported(op, "axes other than the last", "the mean over the last axis")
        multiplier, shift = fp.quantize_multiplier(tensor.scale / out_tensor.scale)
        self.base._check_shift(op, shift)
        x = self.base._contiguous(tensor.index)
        out = self.base._allocate(out_tensor)
        steps = min(tensor.columns.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << steps) // tensor.columns, shift - steps
        if shift > 0 and tensor.columns * 32768 << shift >= 1 << 31:
            raise self.base._unsupported(op, "an output scale far below the input's", "an output that int16 can hold")
        arguments = f"{multiplier}, {shift}, {x.pointer}, {out.pointer}, {tensor.rows}, {tensor.columns}"
        self._call("thimble_mean_s16", arguments, [x], [out], kind="norm")

    def _root(self, root: Root) -> None:
        tensor, out_tensor = self._tensor(root.source), self._tensor(root.out)
        x = self.base._contiguous(root.source)
        out = self.base._allocate(out_tensor)
        scales = ", ".join(_float(value) for value in (tensor.scale, root.epsilon, out_tensor.scale))
        self._call("thimble_root_s16", f"{scales}, {x.pointer}, {out.pointer}, {tensor.size}", [x], [out])

    def _softmax(self, op: Op) -> None:
        tensor, out_tensor = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        self._check(op, tensor, out_tensor)
        fields = self._softmax_fields(tensor, float(str(op.options.get("beta", 1.0))))
        if int(str(fields["shift"])) > _MAX_SOFTMAX_SHIFT or tensor.columns > 65536:
            raise self.base._unsupported(op, "an input scale this large", "a scale below 1.25")
        x = self.base._contiguous(tensor.index)
        out = self.base._allocate(out_tensor)
        arguments = f"{x.pointer}, {out.pointer}, {tensor.rows}, {tensor.columns}"
        self._call("thimble_softmax_s16", arguments, [x], [out], f"softmax_{out_tensor.index}", fields)

    def _softmax_fields(self, tensor: Tensor, beta: float) -> dict[str, object]:
        multiplier, shift = arithmetic.softmax_multiplier(tensor.scale, beta)
        exp = self.base._constant(Constant("exp_s16", "int16_t", arithmetic.exp_table()))
        reciprocal = self.base._constant(Constant("reciprocal_s16", "int16_t", arithmetic.reciprocal_table()))
        return {"exp": exp, "reciprocal": reciprocal, "multiplier": multiplier, "shift": shift}

    # --- products

    def _fully_connected(self, op: Op) -> None:
        x, weights, out_tensor = (self._tensor(index) for index in (op.inputs[0], op.inputs[1], op.outputs[0]))
        self._check(op, x, out_tensor)
        bias = self._tensor(op.inputs[2]) if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
        if weights.data is None or len(weights.shape) != 2 or (bias is not None and bias.data is None):
            raise self.base._unsupported(op, "weights or biases that are computed", "constant ones")
        if x.size != weights.shape[1]:
            raise self.base._unsupported(
                op, f"{x.size // weights.shape[1]} rows at once", "one row, as a decode step has"
            )
        if weights.dtype != "INT8" or (weights.zero_points != 0).any():
            raise self.base._unsupported(op, "weights with a zero point", "symmetric int8 weights")
        rows, depth = weights.shape
        if weights.scales.size > 1:
            pairs = [fp.quantize_multiplier(x.scale * float(scale) / out_tensor.scale) for scale in weights.scales]
        else:
            pairs = [product_multiplier(x, weights, out_tensor)] * rows
        values = np.asarray(weights.data, np.int8)
        biases = None if bias is None else np.asarray(bias.data).astype(np.int64).reshape(-1)
        narrow = bias.dtype == "INT32" if bias is not None else op.options.get("quantizedBiasType") == _INT32
        wide = narrow and (reach(values, biases) >= 1 << 31).any()
        if max(shift for _, shift in pairs) > _MAX_SHIFT or wide:
            raise self.base._unsupported(op, "an output scale far below the inputs'", "an output that int16 can hold")
        name = self.base.products[out_tensor.index]
        source = self._aligned(x)
        out = self.base._allocate(out_tensor)
        low, high = arithmetic.activation_range(out_tensor, self.base._activation(op))
        high_words = None if narrow else high_word_multipliers(pairs)
        arrays: dict[str, NDArray[np.generic] | None]
        stored: NDArray[np.generic]
        if high_words is not None and self.base.packing is WeightLayout.INTERLEAVED_2 and fits_pairs(values, biases):
            kind, stored = "", pack_pairs(values)
            arrays = {"multiplier": high_words, "bias": None if biases is None else biases.astype(np.int32)}
        elif (
            high_words is not None and self.base.packing is not WeightLayout.INTERLEAVED_2 and fits_rows(values, biases)
        ):
            kind, stored = "_rows", by_fours(values).reshape(-1)
            summed = None if biases is None else by_fours(biases.astype(np.int32))
            arrays = {"multiplier": by_fours(high_words), "bias": summed}
        else:
            kind, stored = "_plain", values.reshape(-1)
            multipliers = [multiplier if narrow else arithmetic.reduced(multiplier) for multiplier, _ in pairs]
            arrays = {
                "multiplier": np.array(multipliers, np.int32),
                "shift": np.array([shift for _, shift in pairs], np.int8),
                "bias": biases,
            }
        fields: dict[str, object] = {
            "weights": self.base._constant(
                Constant(f"{name}_weights", f"{stored.dtype}_t", stored, weights=True, raw=values.nbytes)
            ),
            **{
                field: "0"
                if array is None
                else self.base._constant(Constant(f"{name}_{field}", f"{array.dtype}_t", array))
                for field, array in arrays.items()
            },
            "depth": depth,
            "rows": rows,
            "out_min": low,
            "out_max": high,
        }
        if kind == "_plain":
            fields["narrow"] = int(narrow)
        facts = {"macs": rows * depth, "weight_bytes": stored.nbytes, "kind": "fully_connected", "product": name}
        arguments = f"{source.pointer}, {out.pointer}"
        self._call(f"thimble_fully_connected{kind}_s16", arguments, [source], [out], name, fields, **facts)

    def _aligned(self, x: Tensor) -> View:
        """The tensor at a multiple of four bytes, and with memory behind it up to a multiple of four elements."""
        view = self.base._contiguous(x.index)
        whole = view.offset == "0" and view.space == "arena"
        even = view.offset.isdecimal() and int(view.offset) % 2 == 0 and view.space == "arena"
        row = view.space == "constant" and x.size % 4 == 0 and x.index in self.rows
        if whole or row or (even and x.size % 4 == 0):
            return view
        return self.base._copied(x.index, view)

    def _batch_matmul(self, op: Op) -> None:
        a, b, out_tensor = (self._tensor(index) for index in (*op.inputs, op.outputs[0]))
        self._check(op, a, b, out_tensor)
        if op.options.get("adjX") or len(a.shape) < 2 or len(b.shape) < 2:
            raise self.base._unsupported(
                op, "a transposed left side or a vector", "matrices, the left one not transposed"
            )
        batches, b_batches = prod(a.shape[:-2]), prod(b.shape[:-2])
        if b_batches not in (1, batches) or (b_batches != 1 and b.shape[:-2] != a.shape[:-2]):
            raise self.base._unsupported(
                op, f"batches {a.shape[:-2]} and {b.shape[:-2]}", "equal batches, or one right matrix"
            )
        rows, depth, columns = a.shape[-2], a.shape[-1], out_tensor.shape[-1]
        multiplier, shift = product_multiplier(a, b, out_tensor)
        if shift > _MAX_SHIFT:
            raise self.base._unsupported(op, "an output scale far below the inputs'", "an output that int16 can hold")
        x, y = self.base._contiguous(a.index), self.base._contiguous(b.index)
        out = self.base._allocate(out_tensor)
        fields = {
            "out_multiplier": arithmetic.reduced(multiplier),
            "out_shift": shift,
            "batches": batches,
            "rows": rows,
            "depth": depth,
            "columns": columns,
            "a_batch_stride": rows * depth,
            "b_batch_stride": 0 if b_batches == 1 else depth * columns,
            "b_transposed": int(bool(op.options.get("adjY"))),
        }
        arguments = f"{x.pointer}, {y.pointer}, {out.pointer}"
        facts = {"macs": batches * rows * depth * columns, "kind": "matmul"}
        self._call("thimble_batch_matmul_s16", arguments, [x, y], [out], f"matmul_{out_tensor.index}", fields, **facts)

    def _rotary(self, rotary: Rotary) -> None:
        x, rotation, out_tensor = (self._tensor(index) for index in (rotary.x, rotary.rotation, rotary.out))
        multiplier, shift = product_multiplier(x, rotation, out_tensor)
        source, matrices = self.base._contiguous(x.index), self.base._contiguous(rotation.index)
        out = self.base._allocate(out_tensor)
        fields = {
            "heads": x.shape[0],
            "half": x.shape[2],
            "out_multiplier": arithmetic.reduced(multiplier),
            "out_shift": shift,
        }
        arguments = f"{source.pointer}, {matrices.pointer}, {out.pointer}"
        self._call("thimble_rotary_s16", arguments, [source, matrices], [out], f"rotary_{out_tensor.index}", fields)

    def _attention(self, attention: Attention) -> None:
        q, cache = self._tensor(attention.q), self._tensor(attention.k_cache)
        scores, masked = self._tensor(attention.scores), self._tensor(attention.masked_scores)
        values, out_tensor = self._tensor(attention.v_cache), self._tensor(attention.out)
        kv_heads, group, head_dim = q.shape
        context = cache.shape[1]
        table = self.rows[attention.mask].table
        unmasked, hidden = int(table[0, context]), int(table[0, 0])
        c = arithmetic.AddConstants.prepare(scores, self._tensor(attention.mask), masked, attention.activation, 1)
        score_multiplier, score_shift = product_multiplier(q, cache, scores)
        out_scale = product_multiplier(self._tensor(attention.probabilities), values, out_tensor)
        high_words = high_word_multipliers([out_scale])
        assert high_words is not None, "an attention that does not fit is not fused"
        views = [self._aligned(self._tensor(index)) for index in (attention.q, attention.k_new, attention.v_new)]
        name = f"layer{attention.layer}_attention"
        softmax = ", ".join(f".{key} = {value}" for key, value in self._softmax_fields(masked, attention.beta).items())
        keeps = unmasked == 0 and c.keeps_a
        mask = "" if keeps else self.base._parameters("thimble_add_s16_params", f"{name}_mask", dict(c.fields))
        fields = {
            "mask": "0" if keeps else f"&{name}_mask",
            "softmax": f"{{{softmax}}}",
            "kv_heads": kv_heads,
            "group": group,
            "context": context,
            "head_dim": head_dim,
            "score_multiplier": arithmetic.reduced(score_multiplier),
            "score_shift": score_shift,
            "unmasked": unmasked,
            "unmasked_first": int(c.swapped),
            # The score of a row of zeros is 0.
            "masked_score": int(arithmetic.add(c, np.array([0]), np.array([hidden]))[0]),
            "out_multiplier": int(high_words[0]),
        }
        parameters = mask + self.base._parameters("thimble_attention_s16_params", name, fields)
        q_place, k_place, v_place = (view.pointer for view in views)
        k_part, v_part = (self.base._view(index).pointer for index in (attention.k_cache, attention.v_cache))
        self.base._call(
            f"thimble_append_s16(&{name}, {k_place}, {v_place}, {k_part}, {v_part}, {SLOT});",
            views[1:],
            [],
            declaration=parameters,
            appends=True,
            kind="cache",
            group=f"layer{attention.layer}_cache",
        )
        out = self.base._allocate(out_tensor, f"{name}_mixed")
        scratch = View("arena", f"{name}_scratch", 1, (context + 1) // 2 * 2, 0, element="int16_t")
        self.base.program.buffers[scratch.buffer] = 2 * scratch.columns
        arguments = f"{q_place}, {k_part}, {v_part}, {POSITION}, {out.pointer}, {scratch.pointer}"
        macs = 2 * kv_heads * group * head_dim * (context // 2)
        self.base._call(
            f"thimble_attention_s16(&{name}, {arguments});",
            [views[0]],
            [out, scratch],
            macs=macs,
            kind="attention",
            group=name,
        )


def _float(value: float) -> str:
    """A C constant of exactly this float32."""
    return f"{float(np.float32(value)).hex()}f"
