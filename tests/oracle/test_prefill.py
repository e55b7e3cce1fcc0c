"""A prompt in blocks of tokens: the same bytes as token by token, for every block, packing and length."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.compiler import Objective, WeightLayout, compile_model
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


@pytest.mark.variants(keep=4)
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


@pytest.mark.variants(keep=2)
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


@pytest.mark.variants(keep=2)
def test_a_prompt_that_cannot_be_taken_whole_is_not_taken_in_part(decode_step: bytes, tmp_path: Path) -> None:
    oracle = Oracle(decode_step)
    engine = engine_of(decode_step, tmp_path, WeightLayout.INTERLEAVED_2, 4)
    engine.prefill([1, 2, 3])
    with pytest.raises(ThimbleError, match="vocabulary"):
        engine.prefill([4, 5, 6, 7, oracle.vocab])
    with pytest.raises(ThimbleError, match="full"):
        engine.prefill([1] * (oracle.context - 2))
    with pytest.raises(ThimbleError, match="no tokens"):
        engine.prefill([])
    expected = [oracle.step(token) for token in (1, 2, 3, 4)][-1]
    assert (engine.step(4) == expected).all()


def _two_of_four(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Of every four columns the last two without weights: int8 [rows, depth]."""
    kept = weights.copy()
    kept[..., 2::4] = kept[..., 3::4] = 0
    return kept


_MAIN = """\
#include <stdio.h>
#include <string.h>

#include "model.h"

static _Alignas(16) unsigned char memory[THIMBLE_MODEL_MEMORY_BYTES];
static int8_t whole[THIMBLE_MODEL_VOCAB * THIMBLE_MODEL_LOGIT_BYTES];

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
        memcpy(whole, logits, sizeof whole);
        for (int32_t first = 0; first < THIMBLE_MODEL_VOCAB; first++) {
            for (int32_t last = first; last < THIMBLE_MODEL_VOCAB; last += 7) {
                thimble_init(&context, &thimble_the_model, memory, sizeof memory);
                if (thimble_take(&context, tokens, count, THIMBLE_LOGITS_LATER, &logits) != THIMBLE_OK) {
                    return 2;
                }
                memset((void *)(uintptr_t)logits, 0x55, sizeof whole);
                thimble_logits(&context, first, last);
                for (int32_t id = 0; id < THIMBLE_MODEL_VOCAB; id++) {
                    const int8_t *const one = (const int8_t *)logits + THIMBLE_MODEL_LOGIT_BYTES * id;
                    const bool is_among = id >= (first & ~3) && id <= (last | 3);
                    for (int32_t i = 0; i < THIMBLE_MODEL_LOGIT_BYTES; i++) {
                        if (one[i] != (is_among ? whole[THIMBLE_MODEL_LOGIT_BYTES * id + i] : 0x55)) {
                            return 3;
                        }
                    }
                }
            }
        }
        fwrite(whole, THIMBLE_MODEL_LOGIT_BYTES, THIMBLE_MODEL_VOCAB, stdout);
    }
    return 0;
}
"""


_ENCODED = [*((packing, "") for packing in WeightLayout), *((WeightLayout.INTERLEAVED_2, w) for w in ("4 bits", "2:4"))]


@pytest.mark.variants(keep=2)
@pytest.mark.parametrize(("packing", "why"), _ENCODED)
def test_some_logits_are_those_of_all_and_sanitizers_find_nothing(
    decode_step: bytes, packing: WeightLayout, why: str, tmp_path: Path
) -> None:
    if why == "4 bits":
        decode_step = with_weights(decode_step, lambda weights: weights >> 4)
    elif why:
        decode_step = with_weights(decode_step, _two_of_four)
    oracle = Oracle(decode_step)
    main, model = tmp_path / "main.c", tmp_path / "model"
    main.write_text(_MAIN)
    model.mkdir()
    compile_model(decode_step, model, packing, 4, Objective.SIZE if why else Objective.BALANCED)
    assert "model_logits" in (model / "model.c").read_text()
    sources = [main, *model.glob("*.c"), RUNTIME / "thimble.c", *kernel_sources(model)]
    flags = ("-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    compile_library(sources, [model, RUNTIME, RUNTIME / "kernels"], tmp_path / "main", flags)
    done = subprocess.run([tmp_path / "main"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    assert done.stdout == b"".join(oracle.step(token).tobytes() for token in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8))
