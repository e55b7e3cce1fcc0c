"""Layers that differ in names and numbers alone become one loop; others do not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.compiler import compile_model
from pipeline.compiler.program import CachePart, Call, Program
from pipeline.compiler.repeated import LayerLoop, find_layer_loop
from pipeline.compiler.schedule import buffers_can_alias, place_buffers
from tests.support.decode_steps import build_decode_step


def layer(number: int, x: str, zero: int, swapped: bool = False) -> list[Call]:
    """x is widened and multiplied; the product and x are added, in either order."""
    wide, y, out = f"wide_{number}", f"layer{number}_q", f"x{number + 1}"
    operands = (x, y) if swapped else (y, x)
    parameters = f"static const thimble_params layer{number}_q = {{\n    .zero = {zero},\n}};\n"
    scale = f"static const thimble_sum_params sum_{number}7 = {{\n    .scale = {zero + 1},\n}};\n"
    texts: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str], ...] = (
        (f"widen(@arena + at_{x}, {zero}, @arena + at_{wide}, 16, @tokens);", (x,), (wide,), ""),
        (f"multiply(&layer{number}_q, @arena + at_{wide}, @arena + at_{y}, @tokens);", (wide,), (y,), parameters),
        (f"keep(@arena + at_{y}, cache + at_layer{number}_k_cache, @tokens);", (y,), (), ""),
        (
            f"sum(&sum_{number}7, @arena + at_{operands[0]}, @arena + at_{operands[1]}, @arena + at_{out}, @tokens);",
            operands,
            (out,),
            scale,
        ),
    )
    return [
        Call(text, reads, writes, declaration, block=True, group=f"layer{number}_q")
        for text, reads, writes, declaration in texts
    ]


def program_of(layers: int) -> Program:
    program = Program(block=2)
    program.buffers = {f"x{number}": 16 for number in range(layers + 1)}
    program.buffers.update({f"wide_{number}": 36 for number in range(layers)})
    program.buffers.update({f"layer{number}_q": 16 for number in range(layers)})
    program.cache = [CachePart(f"layer{number}_k_cache", 64, 0, False) for number in range(layers)]
    return program


def layer_loop_of(*layers: list[Call]) -> LayerLoop | None:
    return find_layer_loop(program_of(len(layers)), [call for calls in layers for call in calls])


def test_what_differs_becomes_a_field() -> None:
    loop = layer_loop_of(layer(0, "x0", 3), layer(1, "x1", -5))
    assert loop is not None and (loop.first, loop.count, loop.cache_bytes) == (0, 2, 64)
    assert [call.text for call in loop.calls] == [
        "widen(@arena + at_x0, p->q_number, @arena + at_wide_0, 16, @tokens);",
        "multiply(&p->q, @arena + at_wide_0, @arena + at_q, @tokens);",
        "keep(@arena + at_q, cache + at_k_cache, @tokens);",
        "sum(&p->q_sum, @arena + at_q, @arena + at_x0, @arena + at_x0, @tokens);",
    ]
    values = {field.name: field.values for field in loop.fields}
    assert values["q_number"] == ("3", "-5")
    assert values["q"] == ("{\n    .zero = 3,\n}", "{\n    .zero = -5,\n}")


def test_two_that_are_alive_at_once_do_not_share_a_place() -> None:
    calls = [*layer(0, "x0", 3), *layer(1, "x1", 4), *layer(2, "x2", 5)]
    program = program_of(3)
    loop = find_layer_loop(program, calls)
    assert loop is not None
    assert not buffers_can_alias(program, calls, loop.same)  # each sum reads what its result would take the place of
    apart = [
        dataclasses.replace(call, reads=call.reads[:1] if call.text.startswith("sum") else call.reads) for call in calls
    ]
    assert buffers_can_alias(program, apart, loop.same)
    offsets = place_buffers(program, apart, loop.same).offsets
    assert len({offsets[f"x{number}"] for number in range(4)}) == 1
    assert offsets["x0"] not in (offsets["wide_0"], offsets["layer0_q"])


def test_exchanged_operands_are_places_of_their_own() -> None:
    loop = layer_loop_of(layer(0, "x0", 3), layer(1, "x1", 4, swapped=True))
    assert loop is not None
    values = {field.name: field.values for field in loop.fields}
    assert (values["q_place"], values["q_place_2"]) == (("at_q", "at_x0"), ("at_x0", "at_q"))


@pytest.mark.parametrize("change", ["text", "block", "one more", "cache"])
def test_unlike_layers_are_no_loop(change: str) -> None:
    first, second = layer(0, "x0", 3), layer(1, "x1", 4)
    program = program_of(2)
    if change == "text":
        second[0] = dataclasses.replace(second[0], text=second[0].text.replace("widen(", "widen_slowly("))
    elif change == "block":
        second[0] = dataclasses.replace(second[0], block=False)
    elif change == "one more":
        second.append(second[-1])
    else:
        program.cache[1] = CachePart("layer1_k_cache", 128, 0, False)
    assert find_layer_loop(program, [*first, *second]) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rmsnorm, rotary, gated, grouped", "layernorm, learned, relu"])
def test_a_models_layers_are_one_loop(kind: str, tmp_path: Path) -> None:
    compiled = compile_model(build_decode_step(kind), tmp_path)
    text = (tmp_path / "model.c").read_text()
    count = sum(layer.name.endswith("_attention") for layer in compiled.layers)
    assert count > 1 and f"for (uint32_t layer = 0; layer < {count};" in text
    assert text.count("thimble_attention_pairs_s8(") == 1
    assert len({layer.function for layer in compiled.layers if layer.name.endswith("_attention")}) == 1
