"""Layers that differ in names and numbers alone become one loop; others do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.compiler import compile_model
from pipeline.compiler.backends.c.printer import BlockPrinter, print_fields
from pipeline.compiler.ir.layout import LayerLoop
from pipeline.compiler.ir.program import (
    Address,
    Argument,
    BlockSize,
    CachePart,
    Call,
    Number,
    Parameters,
    Place,
    Pointer,
    Program,
    View,
)
from pipeline.compiler.passes.layer_loop import find_layer_loop
from pipeline.compiler.passes.place_buffers import buffers_can_alias, place_buffers
from tests.support.decode_steps import build_decode_step


def pointer(space: str, name: str) -> Pointer:
    return Pointer(View(space, name, 1, 16, 16))


def layer(number: int, x: str, zero: int, swapped: bool = False) -> list[Call]:
    """x is widened and multiplied; the product and x are added, in either order."""
    wide, y, out = f"wide_{number}", f"layer{number}_q", f"x{number + 1}"
    operands = (x, y) if swapped else (y, x)
    zeros = Parameters("thimble_params", f"layer{number}_q", (("zero", zero),))
    scale = Parameters("thimble_sum_params", f"sum_{number}7", (("scale", zero + 1),))
    block = BlockSize()
    values: dict[str, Pointer] = {name: pointer("arena", name) for name in (x, wide, y, out)}
    cache = pointer("cache", f"layer{number}_k_cache")
    summed: tuple[Argument, ...] = (Address(scale.name), *(values[name] for name in operands), values[out], block)
    rows: tuple[tuple[str, tuple[Argument, ...], tuple[str, ...], tuple[str, ...], tuple[Parameters, ...]], ...] = (
        ("widen", (values[x], Number(zero), values[wide], Number(16), block), (x,), (wide,), ()),
        ("multiply", (Address(zeros.name), values[wide], values[y], block), (wide,), (y,), (zeros,)),
        ("keep", (values[y], cache, block), (y,), (), ()),
        ("sum", summed, operands, (out,), (scale,)),
    )
    return [Call(*row, block=True, group=f"layer{number}_q") for row in rows]


def program_of(layers: int) -> Program:
    program = Program(block=2)
    program.buffers = {f"x{number}": 16 for number in range(layers + 1)}
    program.buffers.update({f"wide_{number}": 36 for number in range(layers)})
    program.buffers.update({f"layer{number}_q": 16 for number in range(layers)})
    program.cache = [CachePart(f"layer{number}_k_cache", 64, 0, False) for number in range(layers)]
    return program


def layer_loop_of(*layers: list[Call]) -> LayerLoop | None:
    return find_layer_loop(replace(program_of(len(layers)), calls=[call for calls in layers for call in calls]))


def texts_of(loop: LayerLoop) -> list[str]:
    return [BlockPrinter(window=False).statement(call) for call in loop.calls]


def test_what_differs_becomes_a_field() -> None:
    loop = layer_loop_of(layer(0, "x0", 3), layer(1, "x1", -5))
    assert loop is not None and (loop.first, loop.count, loop.cache_bytes) == (0, 2, 64)
    assert texts_of(loop) == [
        "widen(arena + at_x0, p->q_number, arena + at_wide_0, 16, tokens);",
        "multiply(&p->q, arena + at_wide_0, arena + at_q, tokens);",
        "keep(arena + at_q, cache + at_k_cache, tokens);",
        "sum(&p->q_sum, arena + at_q, arena + at_x0, arena + at_x0, tokens);",
    ]
    values = {field.name: field.values for field in loop.fields}
    assert values["q_number"] == (Number(3), Number(-5))
    assert [print_fields(value) for value in values["q"] if isinstance(value, Parameters)] == [
        "{\n    .zero = 3,\n}",
        "{\n    .zero = -5,\n}",
    ]


def test_two_that_are_alive_at_once_do_not_share_a_place() -> None:
    calls = [*layer(0, "x0", 3), *layer(1, "x1", 4), *layer(2, "x2", 5)]
    program = replace(program_of(3), calls=calls)
    loop = find_layer_loop(program)
    assert loop is not None
    assert not buffers_can_alias(program, loop.same)  # each sum reads what its result would take the place of
    apart = replace(
        program, calls=[replace(call, reads=call.reads[:1] if call.kernel == "sum" else call.reads) for call in calls]
    )
    assert buffers_can_alias(apart, loop.same)
    offsets = place_buffers(apart, loop.same).offsets
    assert len({offsets[f"x{number}"] for number in range(4)}) == 1
    assert offsets["x0"] not in (offsets["wide_0"], offsets["layer0_q"])


def test_exchanged_operands_are_places_of_their_own() -> None:
    loop = layer_loop_of(layer(0, "x0", 3), layer(1, "x1", 4, swapped=True))
    assert loop is not None
    values = {field.name: field.values for field in loop.fields}
    q, x = Place("arena", "q"), Place("arena", "x0")
    assert (values["q_place"], values["q_place_2"]) == ((q, x), (x, q))


@pytest.mark.parametrize("change", ["kernel", "argument", "a second parameter", "block", "one more", "cache"])
def test_unlike_layers_are_no_loop(change: str) -> None:
    first, second = layer(0, "x0", 3), layer(1, "x1", 4)
    program = program_of(2)
    if change == "kernel":
        second[0] = replace(second[0], kernel="widen_slowly")
    elif change == "argument":
        second[0] = replace(second[0], arguments=(*second[0].arguments[:-1], Number(1)))
    elif change == "a second parameter":
        first[1], second[1] = (
            replace(call, parameters=(*call.parameters, Parameters("thimble_params", "more", ())))
            for call in (first[1], second[1])
        )
    elif change == "block":
        second[0] = replace(second[0], block=False)
    elif change == "one more":
        second.append(second[-1])
    else:
        program.cache[1] = CachePart("layer1_k_cache", 128, 0, False)
    assert find_layer_loop(replace(program, calls=[*first, *second])) is None


@pytest.mark.variants(keep=1)
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rmsnorm, rotary, gated, grouped", "layernorm, learned, relu"])
def test_a_models_layers_are_one_loop(kind: str, tmp_path: Path) -> None:
    compiled = compile_model(build_decode_step(kind), tmp_path)
    text = (tmp_path / "model.c").read_text()
    count = sum(layer.name.endswith("_attention") for layer in compiled.layers)
    assert count > 1 and f"for (uint32_t layer = 0; layer < {count};" in text
    assert text.count("thimble_attention_pairs_s8(") == 1
    assert len({layer.function for layer in compiled.layers if layer.name.endswith("_attention")}) == 1
