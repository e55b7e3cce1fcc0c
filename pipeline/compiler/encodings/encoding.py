"""What an encoding of weights is: which products it holds, what it costs, and how its kernel is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.ir.graph import Tensor
from pipeline.compiler.ir.program import Constant, Number, Pointer, Value, View, WeightEncoding
from pipeline.compiler.lowering import Lowering, block_size
from pipeline.compiler.product import Product
from pipeline.targets.cores import WeightLayout

__all__ = ["Encoding", "ProductCall", "ProductInput", "encoded_input", "input_as_int16", "product_constants"]


@dataclass(frozen=True)
class ProductCall:
    """What a product's kernel is called with: its input, as that C type, and the fields of its parameters but for the
    output's zero point, in the structure `ctype`. `in_block`: whether it takes all tokens of a block; None where the
    kernel takes one and no count of them. `clamps`: whether it limits its outputs to an activation's range.
    `some_rows`: the C function that makes its parameters those of some of the rows (thimble_some_rows.h); empty where
    its weights can only be read from the first row on."""

    kernel: str
    ctype: str
    input: Pointer
    in_block: bool | None
    fields: Mapping[str, Value]
    clamps: bool = False
    some_rows: str = ""


@dataclass(frozen=True)
class ProductInput:
    """A product to lower: its name, the tensor that it multiplies, and the range of its outputs."""

    name: str
    x: Tensor
    product: Product
    limits: tuple[int, int]


@dataclass(frozen=True)
class Encoding:
    """`candidates` gives the encodings that represent a product's weights exactly on a layout's core, `prepare` what
    the kernel is called with. `code_bytes`: by which an image for a Cortex-M4 grows (the kernel, what prepares its
    input, and their calls), by the name of a candidate."""

    candidates: Callable[[Product, WeightLayout], Sequence[WeightEncoding]]
    prepare: Callable[[Lowering, ProductInput, WeightEncoding], ProductCall]
    kernels: tuple[str, ...]
    code_bytes: Mapping[str, int] = field(default_factory=dict)


def product_constants(ctx: Lowering, it: ProductInput, arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, Value]:
    """Constants of a product, each by the field that points to it."""
    raw = it.product.weights.nbytes
    return {
        field: ctx.constant(
            Constant(f"{it.name}_{field}", f"{array.dtype}_t", array, weights=True, raw=raw)
            if field in ("weights", "stream")
            else Constant(f"{it.name}_{field}", f"{array.dtype}_t", array)
        )
        for field, array in arrays.items()
    }


def encoded_input(ctx: Lowering, x: Tensor, kind: str, kernel: str, size: int, parameter: int) -> View:
    """The input in the encoding that compressed kernels read, computed once for all products that share it."""
    name = f"{kind}_{x.index}"
    if (name,) not in ctx.prepared:
        source = ctx.contiguous(x.index)
        view = View("arena", name, 1, size, size)
        ctx.prepared[name,] = view, False
        ctx.program.buffers[name] = size
        target = Pointer(view, "int32_t *")
        ctx.call(kernel, (source, -x.zero_point, target, x.size, parameter), [source], [view], kind="fully_connected")
    return ctx.prepared[name,][0]


def input_as_int16(ctx: Lowering, x: Tensor, alone: bool) -> tuple[View, bool]:
    """The input as int16, made once for all products that read it, and whether it is so for a block of tokens.

    Args:
        ctx: the lowering.
        x: the input.
        alone: each token by itself, where a product takes no more.
    """
    if (x.index, alone) in ctx.prepared:
        return ctx.prepared[x.index, alone]
    columns = 2 * ((x.size + 3) // 4 * 4) + 4
    source = ctx.contiguous(x.index)
    if source.space == "constant" and x.size % 4:
        source = ctx.copied(x.index, source)  # what lies behind it is read
    wide = View("arena", f"wide_{x.index}{'_alone' if alone else ''}", 1, columns, columns)
    in_block = not alone and ctx.in_block(source)
    ctx.prepared[x.index, alone] = wide, in_block
    ctx.program.buffers[wide.name] = columns
    arguments = (
        source,
        Number(-x.zero_point, "offset"),
        Pointer(wide, "int16_t *"),
        x.size,
        block_size(in_block),
    )
    ctx.call(
        "thimble_widen_s8",
        arguments,
        [source],
        [wide],
        block=in_block,
        interleaved=in_block,
        kind="fully_connected",
    )
    return wide, in_block
