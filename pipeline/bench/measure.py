"""Runs what is measured on a core and gives its rows."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.bench.cores import Core
from pipeline.bench.limits import min_instructions_per_mac
from pipeline.bench.machine import DEVICE, build, code_bytes, emulated_board, run
from pipeline.bench.rows import Row
from pipeline.bench.shapes import Model, layer_tflite, product_tflite
from pipeline.bench.structures import STRUCTURES
from pipeline.compiler import CompiledModel, Objective, compile_model
from pipeline.firmware.build import build_project
from pipeline.firmware.project import write_project
from pipeline.recipes.schema import ModelConfig
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.host_engine import RUNTIME

__all__ = ["compressed_rows", "float_rows", "kernel_rows", "model_rows"]

_KERNELS = RUNTIME / "kernels"
_NO_LOOP_CALLS = "-fno-tree-loop-distribute-patterns"
OPTIMIZATION = "-O2"
"""For our engine and CMSIS-NN alike; the float baseline gets -O3 -ffast-math."""


def model_rows(core: Core, model: Model, folder: Path) -> Iterator[Row]:
    """A decode step at three fills of the context, its kinds of layers at half, and a prompt in blocks."""
    generated = folder / "model"
    generated.mkdir(parents=True, exist_ok=True)
    compiled = compile_model(model.tflite, generated, core.packing)
    sources = [DEVICE / "step.c", *sorted(generated.glob("*.c")), RUNTIME / "thimble.c", *sorted(_KERNELS.glob("*.c"))]
    includes = [generated, RUNTIME, _KERNELS]
    plain = build(core, sources, includes, folder / "plain", (OPTIMIZATION, _NO_LOOP_CALLS))
    by_layer = build(core, sources, includes, folder / "layers", (OPTIMIZATION, _NO_LOOP_CALLS, "-DTHIMBLE_PROFILE"))
    facts = {"core": core.name, "engine": "thimble", "model": model.name}
    sizes = {
        "ram_bytes": compiled.kv_cache_bytes + compiled.arena_bytes,
        "cache_bytes": compiled.kv_cache_bytes,
        "activation_bytes": compiled.arena_bytes,
        "live_bytes": compiled.largest_live_set,
        "weight_bytes": compiled.weight_bytes,
        "raw_weight_bytes": compiled.raw_weight_bytes,
    }
    whole = _firmware_code(core, model, generated, folder / "firmware")
    for counted in run(core, plain):
        if counted.name == "step":
            yield Row(
                **facts,  # type: ignore[arg-type]
                **sizes,  # type: ignore[arg-type]
                fill=counted.first,
                macs=_macs(compiled, model.config, counted.first),
                instructions=counted.instructions,
                code_bytes=code_bytes(plain),
                firmware_code_bytes=whole,
            )
        else:
            engine = "thimble" if counted.name == "prompt" else "thimble, step by step"
            yield Row(
                core=core.name,
                engine=engine,
                model=model.name,
                prompt=counted.first,
                macs=_macs(compiled, model.config, counted.first // 2),
                instructions=counted.instructions,
            )
    kinds: dict[str, list[int]] = {}
    for counted, layer in zip(run(core, by_layer), compiled.layers, strict=True):
        total = kinds.setdefault(layer.kind, [0, 0])
        total[0] += counted.instructions
        total[1] += layer.macs
    for kind, (instructions, macs) in kinds.items():
        half = model.config.context // 2
        yield Row(**facts, layer=kind, fill=half, macs=macs or None, instructions=instructions)  # type: ignore[arg-type]


def compressed_rows(core: Core, model: Model, folder: Path) -> Iterator[Row]:
    """All products of one of a model's layers, dense and with each structure of weights, their inputs prepared."""
    for number, (name, change) in enumerate(STRUCTURES.items()):
        generated = folder / str(number) / "model"
        generated.mkdir(parents=True, exist_ok=True)
        compiled = compile_model(layer_tflite(model.config, change), generated, core.packing, aim=Objective.SIZE)
        sources = [DEVICE / "product.c", *sorted(generated.glob("*.c")), *sorted(_KERNELS.glob("*.c"))]
        options = (OPTIMIZATION, _NO_LOOP_CALLS)
        image = build(core, sources, [generated, RUNTIME, _KERNELS], folder / str(number) / "layer", options)
        (counted,) = run(core, image)
        yield Row(
            core=core.name,
            engine="thimble",
            model=model.name,
            weights=name,
            forms=", ".join(sorted({product.form for product in compiled.products})),
            weight_bytes=sum(product.weight_bytes for product in compiled.products),
            macs=compiled.macs,
            instructions=counted.instructions,
        )


def _firmware_code(core: Core, model: Model, generated: Path, folder: Path) -> int | None:
    """Bytes of code of a whole firmware image for the emulated board of the core, where the model has a tokenizer:
    engine, runtime, tokenizer, sampler, protocol, faults and start-up."""
    board = emulated_board(core)
    if board is None or model.tokenizer is None:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "project").mkdir(parents=True)
    write_project(generated, PlainCodec(Tokenizer.load(model.tokenizer)), board, model.name, folder / "project")
    return build_project(folder / "project", folder / "build").sizes.code


def _macs(compiled: CompiledModel, config: ModelConfig, fill: int) -> int:
    """Multiply-accumulates of a step with `fill` tokens in the context: attention's grow with it."""
    products = sum(layer.macs for layer in compiled.layers if layer.kind != "attention")
    return products + config.layers * 2 * config.d_model * (fill + 1)


def float_rows(core: Core, model: Model, folder: Path) -> Iterator[Row]:
    """The same network in float32, as llama2.c writes it."""
    c = model.config
    sizes = {
        "DIM": c.d_model,
        "LAYERS": c.layers,
        "HEADS": c.heads,
        "KV_HEADS": c.kv_heads,
        "HIDDEN": c.ffn_dim,
        "VOCAB": c.vocab_size,
        "CONTEXT": c.context,
        "GATED": int(c.ffn == "gated"),
        "ROTARY": int(c.positions == "rotary"),
    }
    options = ("-O3", "-ffast-math", *(f"-D{key}={value}" for key, value in sizes.items()))
    image = build(core, [DEVICE / "float_step.c"], [], folder, options, ("m",))
    weights = c.parameter_count
    for counted in run(core, image):
        yield Row(
            core=core.name,
            engine="float C",
            model=model.name,
            fill=counted.first,
            macs=weights + c.layers * 2 * c.d_model * (counted.first + 1),
            instructions=counted.instructions,
            code_bytes=code_bytes(image),
        )


def kernel_rows(core: Core, depth: int, rows: int, folder: Path) -> Iterator[Row]:
    """One int8 product: ours, and on Arm's cores CMSIS-NN's and the limit."""
    facts = {"core": core.name, "kernel": "fully_connected_s8", "depth": depth, "rows": rows, "macs": depth * rows}
    generated = folder / "model"
    generated.mkdir(parents=True, exist_ok=True)
    compile_model(product_tflite(depth, rows), generated, core.packing)
    sources = [DEVICE / "product.c", *sorted(generated.glob("*.c")), *sorted(_KERNELS.glob("*.c"))]
    image = build(core, sources, [generated, RUNTIME, _KERNELS], folder / "ours", (OPTIMIZATION,))
    (ours,) = run(core, image)
    yield Row(**facts, engine="thimble", instructions=ours.instructions)  # type: ignore[arg-type]
    wide = folder / "int16"
    wide.mkdir(exist_ok=True)
    compile_model(product_tflite(depth, rows, "INT16"), wide, core.packing)
    sources = [DEVICE / "product.c", *sorted(wide.glob("*.c")), *sorted(_KERNELS.glob("*.c"))]
    (int16,) = run(core, build(core, sources, [wide, RUNTIME, _KERNELS], folder / "int16_program", (OPTIMIZATION,)))
    yield Row(**facts, engine="thimble, int16 activations", instructions=int16.instructions)  # type: ignore[arg-type]
    if not core.is_arm:
        return  # CMSIS-NN and the limit are of Arm's instructions
    yield _cmsis_nn(core, depth, rows, folder, facts)
    lower_bound = round(min_instructions_per_mac(core.packing) * depth * rows)
    yield Row(**facts, engine="limit", instructions=lower_bound)  # type: ignore[arg-type]


def _cmsis_nn(core: Core, depth: int, rows: int, folder: Path, facts: dict[str, object]) -> Row:
    package = importlib.util.find_spec("bakenn")
    if package is None or not package.submodule_search_locations:
        note = "left out: the package bakenn, which brings its sources, is not installed: the extra `bench` brings it"
        return Row(**facts, engine="CMSIS-NN", note=note)  # type: ignore[arg-type]
    vendor = Path(package.submodule_search_locations[0]) / "backend" / "cmsis_nn" / "vendor"
    nn = vendor / "cmsis_nn"
    sources = [
        DEVICE / "cmsis_nn.c",
        nn / "Source" / "FullyConnectedFunctions" / "arm_fully_connected_s8.c",
        nn / "Source" / "NNSupportFunctions" / "arm_nn_vec_mat_mult_t_s8.c",
    ]
    options = (OPTIMIZATION, f"-DDEPTH={depth}", f"-DROWS={rows}")
    image = build(core, sources, [nn / "Include", vendor / "cmsis_core" / "Include"], folder / "cmsis_nn", options)
    (counted,) = run(core, image)
    return Row(**facts, engine="CMSIS-NN", instructions=counted.instructions)  # type: ignore[arg-type]
