"""Exact match counts what greedy decoding gives, however its tokens are cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pipeline.network.cached_decoder import CachedDecoder
from pipeline.tasks.accuracy import ANSWER_MARGIN, max_answer_tokens
from pipeline.tasks.task import Pair
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import BYTE_BASE, EOS
from pipeline.training.evaluation import answers, exact_match, matches, teacher_forced_match
from tests.support.tiny_models import PAIRS, config_of, lively, tokenizer_of

TOKENIZER = tokenizer_of(400)
CODEC = PlainCodec(TOKENIZER)
CONTEXT = 96


class ScriptedDecoder:
    """Answers each prompt with given tokens, as many of them as it may."""

    def __init__(self, answers: dict[str, list[int]], context: int = CONTEXT) -> None:
        self.answers = {tuple(TOKENIZER.encode_prompt(sentence)): tokens for sentence, tokens in answers.items()}
        self.context = context

    def greedy(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        eos: int,
        progress: Callable[[int], None] | None = None,
        allowed: object = None,
    ) -> list[list[int]]:
        assert eos == EOS
        return [self.answers.get(tuple(prompt), [])[:max_new_tokens] for prompt in prompts]


def spelled(text: str) -> list[int]:
    """The text byte by byte, which is not how the tokenizer cuts it."""
    return [BYTE_BASE + value for value in text.encode()]


def test_right_and_wrong_answers() -> None:
    wrong = {PAIRS[2].sentence, PAIRS[5].sentence}
    decoder = ScriptedDecoder(
        {pair.sentence: TOKENIZER.encode(pair.action + "s" * (pair.sentence in wrong)) for pair in PAIRS}
    )
    assert exact_match(decoder, CODEC, PAIRS) == pytest.approx(10 / 12)
    assert matches(decoder, CODEC, PAIRS) == [pair.sentence not in wrong for pair in PAIRS]
    assert answers(decoder, CODEC, PAIRS)[2] == PAIRS[2].action + "s"


def test_the_text_counts_and_not_its_tokens() -> None:
    shorter = [Pair(pair.sentence, pair.action[:9]) for pair in PAIRS[:3]]
    decoder = ScriptedDecoder({pair.sentence: spelled(pair.action) for pair in shorter})
    assert exact_match(decoder, CODEC, shorter) == 1.0


def test_an_answer_that_never_ends_is_wrong() -> None:
    decoder = ScriptedDecoder({PAIRS[0].sentence: [*TOKENIZER.encode(PAIRS[0].action), *[50] * CONTEXT]})
    assert exact_match(decoder, CODEC, PAIRS[:1]) == 0.0


def test_answers_are_cut_behind_the_longest_true_one() -> None:
    decoder = ScriptedDecoder({PAIRS[0].sentence: [50] * CONTEXT})
    longest = max(len(TOKENIZER.encode(pair.action)) for pair in PAIRS)
    answer = answers(decoder, CODEC, PAIRS)[0]
    assert answer is not None and len(answer) == longest + ANSWER_MARGIN == max_answer_tokens(CODEC, PAIRS)


def test_a_pair_longer_than_the_context_is_wrong() -> None:
    script = {pair.sentence: TOKENIZER.encode(pair.action) for pair in PAIRS}
    longest = max(len(CODEC.prompt(pair.sentence).tokens) for pair in PAIRS)
    fitting = [len(CODEC.prompt(pair.sentence).tokens) < longest for pair in PAIRS]
    found = answers(ScriptedDecoder(script, longest - 1), CODEC, PAIRS)
    assert [answer is not None for answer in found] == fitting and not all(fitting)


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("context", [16, 20, 32])
def test_the_float_twin_cuts_answers_where_the_host_does(context: int) -> None:
    """A model that hardly ever ends its answers, up to the end of the context."""
    config = config_of("rmsnorm, gated, rotary, grouped", vocab_size=TOKENIZER.vocab_size, context=context)
    decoder = CachedDecoder(lively(config), config)
    prompts = [CODEC.prompt(pair.sentence).tokens for pair in PAIRS]
    fitting = [prompt for prompt in prompts if len(prompt) <= context]
    bound = decoder.greedy(fitting, 99, EOS, None, [lambda _: range(TOKENIZER.vocab_size)] * len(fitting))
    assert decoder.greedy(fitting, 99, EOS) == bound
    rooms = [context - len(prompt) + 1 for prompt in fitting]
    assert all(len(answer) <= room for answer, room in zip(bound, rooms, strict=True))
    assert any(len(answer) == room for answer, room in zip(bound, rooms, strict=True))


def test_nothing_to_measure() -> None:
    assert exact_match(ScriptedDecoder({}), CODEC, []) == 0.0


def test_forced_match_is_right_where_every_true_token_is_most_likely() -> None:
    """On a model that answers by itself: what it decodes is right, and a changed answer is not."""
    config = config_of("rmsnorm, gated, rotary, grouped", vocab_size=TOKENIZER.vocab_size, context=40)
    model = lively(config)
    found = answers(CachedDecoder(model, config), CODEC, PAIRS[:4])
    pairs = [Pair(pair.sentence, answer or "") for pair, answer in zip(PAIRS[:4], found, strict=True)]
    forced = teacher_forced_match(model, CODEC, pairs, config.context)
    assert forced <= exact_match(CachedDecoder(model, config), CODEC, pairs)
    assert teacher_forced_match(model, CODEC, [Pair(pair.sentence, "no") for pair in pairs], 40) == 0.0
