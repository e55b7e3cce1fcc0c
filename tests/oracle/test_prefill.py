"""A prompt in blocks of tokens: the same bytes as token by token, for every block, packing and length."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.compiler import WeightLayout, compile_model
from pipeline.errors import ThimbleError
from pipeline.verification.host_engine import RUNTIME, HostEngine, compile_library, kernel_sources
from pipeline.verification.oracle import Oracle
from tests.support.changed_weights import with_weights

pytestmark = pytest.mark.slow


def engine_of(tflite: bytes, folder: Path, packing: WeightLayout, block: int) -> HostEngine:
    model = folder / f"model_{packing}_{block}"
    model.mkdir()
    compiled = compile_model(tflite, model, packing, block)
    return HostEngine(model, folder / f"build_{packing}_{block}", compiled.vocab, compiled.context)


@pytest.mark.parametrize(("packing", "block"), [("pairs", 1), ("pairs", 4), ("pairs", 5), ("rows", 3)])
def test_blocks_give_the_oracles_bytes(decode_step: bytes, packing: str, block: int, tmp_path: Path) -> None:
    oracle = Oracle(decode_step)
    engine = engine_of(decode_step, tmp_path, WeightLayout(packing), block)
    random = np.random.default_rng(block)
    for cut in range(1, oracle.context):
        tokens = [int(token) for token in random.integers(0, oracle.vocab, oracle.context)]
        oracle.reset()
        engine.reset()
        expected = [oracle.step(token) for token in tokens]
        # A prompt, then one step, then a second piece of prompt up to the end of the context.
        assert (engine.prefill(tokens[:cut]) == expected[cut - 1]).all()
        assert (engine.step(tokens[cut]) == expected[cut]).all()
        if tokens[cut + 1 :]:
            assert (engine.prefill(tokens[cut + 1 :]) == expected[-1]).all()


@pytest.mark.parametrize("why", ["outputs beyond halfwords", "4 bits"])
def test_products_that_take_one_token_give_the_oracles_bytes(
    decode_step: bytes, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "4 bits":
        decode_step = with_weights(decode_step, lambda weights: weights >> 4)
    else:
        monkeypatch.setattr(sys.modules["pipeline.compiler.encodings.plain"], "outputs_fit", lambda *_: False)
    oracle = Oracle(decode_step)
    engine = engine_of(decode_step, tmp_path, WeightLayout.INTERLEAVED_2, 4)
    tokens = list(range(1, oracle.context + 1))
    expected = [oracle.step(token) for token in tokens]
    assert (engine.prefill(tokens) == expected[-1]).all()
    text = (tmp_path / "model_pairs_4" / "model.c").read_text()
    assert not re.search(r"fully_connected_\w+\(.*tokens\);", text)


def test_a_prompt_that_cannot_be_taken_whole_is_not_taken_in_part(decode_step: bytes, tmp_path: Path) -> None:
    oracle = Oracle(decode_step)
    engine = engine_of(decode_step, tmp_path, WeightLayout.INTERLEAVED_2, 4)
    engine.prefill([1, 2, 3])
    with pytest.raises(ThimbleError, match="vocabulary"):
        engine.prefill([4, 5, 6, 7, oracle.vocab])
    with pytest.raises(ThimbleError, match="full"):
        engine.prefill([1] * (oracle.context - 2))
    expected = [oracle.step(token) for token in (1, 2, 3, 4)][-1]
    assert (engine.step(4) == expected).all()


_MAIN = """\
#include <stdio.h>

#include "model.h"

static _Alignas(16) unsigned char memory[THIMBLE_MODEL_MEMORY_BYTES];

int main(void)
{
    static const int32_t tokens[THIMBLE_MODEL_CONTEXT] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};
    thimble_context context;
    const void *logits = 0;
    for (size_t count = 1; count <= THIMBLE_MODEL_CONTEXT; count++) {
        if (thimble_init(&context, &thimble_the_model, memory, sizeof memory) != THIMBLE_OK ||
            thimble_prefill(&context, tokens, count, &logits) != THIMBLE_OK) {
            return 1;
        }
        fwrite(logits, THIMBLE_MODEL_LOGIT_BYTES, THIMBLE_MODEL_VOCAB, stdout);
    }
    return 0;
}
"""


def test_sanitizers_find_nothing(decode_step: bytes, tmp_path: Path) -> None:
    oracle = Oracle(decode_step)
    main, model = tmp_path / "main.c", tmp_path / "model"
    main.write_text(_MAIN)
    model.mkdir()
    compile_model(decode_step, model, WeightLayout.INTERLEAVED_2, 4)
    sources = [main, *model.glob("*.c"), RUNTIME / "thimble.c", *kernel_sources(model)]
    flags = ("-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    compile_library(sources, [model, RUNTIME, RUNTIME / "kernels"], tmp_path / "main", flags)
    done = subprocess.run([tmp_path / "main"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    assert done.stdout == b"".join(oracle.step(token).tobytes() for token in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8))
