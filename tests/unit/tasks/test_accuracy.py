"""What an engine that decodes token by token is asked, and how its answers count."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.tasks.accuracy import ANSWER_MARGIN, answers, exact_match, matches, max_answer_tokens
from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.samples import IntentSchema, SlotSchema
from pipeline.tasks.task import Pair
from pipeline.text.annotation import Annotated, Entry, Word
from pipeline.text.answers import NO_MATCH
from pipeline.text.codec import PlainCodec, StructuredCodec
from pipeline.text.tokenizers.byte_bpe import EOS
from pipeline.verification.reply import ask
from tests.support.tiny_models import PAIRS, tokenizer_of

TOKENIZER = tokenizer_of(400)
CODEC = PlainCodec(TOKENIZER)


class ScriptedEngine:
    """Answers with given tokens, and keeps how many it was asked for."""

    def __init__(self, script: dict[str, list[int]], context: int = 96) -> None:
        self.script = {tuple(TOKENIZER.encode_prompt(sentence)): tokens for sentence, tokens in script.items()}
        self.context = context
        self.asked: list[int] = []

    def generate(self, prompt: Sequence[int], max_new_tokens: int, eos: int, allowed: object = None) -> list[int]:
        assert eos == EOS
        self.asked.append(max_new_tokens)
        return self.script.get(tuple(prompt), [])[:max_new_tokens]


def test_right_wrong_and_endless_answers() -> None:
    script = {pair.sentence: TOKENIZER.encode(pair.action) for pair in PAIRS}
    script[PAIRS[1].sentence] = TOKENIZER.encode("Nothing")
    script[PAIRS[2].sentence] += [50] * 90
    engine = ScriptedEngine(script)
    progress: list[int] = []
    assert matches(engine, CODEC, PAIRS, progress.append) == [index not in (1, 2) for index in range(len(PAIRS))]
    assert progress == list(range(1, len(PAIRS) + 1))
    assert exact_match(engine, CODEC, PAIRS) == 10 / 12
    limit = max(len(TOKENIZER.encode(pair.action)) for pair in PAIRS) + ANSWER_MARGIN
    assert set(engine.asked) == {limit} == {max_answer_tokens(CODEC, PAIRS)}


def test_a_prompt_that_fills_the_context_gets_one_token_and_a_longer_one_none() -> None:
    pair = Pair("turn on the kitchen light", "x")
    length = len(TOKENIZER.encode_prompt(pair.sentence))
    script = {pair.sentence: TOKENIZER.encode("x")}
    engine = ScriptedEngine(script, context=length)
    assert answers(engine, CODEC, [pair]) == ["x"] and engine.asked == [1]
    assert answers(ScriptedEngine(script, context=length - 1), CODEC, [pair]) == [None]


class Words:
    """An annotator that knows no names and no quantities."""

    def annotate(self, text: str) -> Annotated:
        words, at = [], 0
        for word in text.split():
            words.append(Word(word, at, at + len(word)))
            at += len(word) + 1
        return Annotated(text, tuple(words), ())

    def words(self, text: str) -> list[str]:
        return text.split()

    def with_entries(self, entries: Sequence[Entry]) -> Words:
        return self


class BoundEngine:
    """Answers with what is most likely of random logits, which depend on the tokens alone."""

    def __init__(self, vocab: int, context: int, seed: int) -> None:
        self.vocab, self.context, self.seed = vocab, context, seed
        self.reset()

    def reset(self) -> None:
        self.fed: list[int] = []

    def prefill(self, tokens: Sequence[int]) -> NDArray[np.signedinteger]:
        self.fed += tokens
        assert len(self.fed) <= self.context
        logits = np.random.default_rng((self.seed, *self.fed)).integers(-128, 128, self.vocab).astype(np.int8)
        logits[EOS] //= 2  # so that some answers do not end
        return logits

    def generate(
        self,
        prompt: Sequence[int],
        max_new_tokens: int,
        eos: int,
        allowed: Callable[[Sequence[int]], Sequence[int] | None] | None = None,
    ) -> list[int]:
        assert allowed is not None
        self.reset()
        logits, answer = self.prefill(prompt), list[int]()
        while True:
            choices = np.asarray(allowed(answer))
            token = int(choices[np.argmax(logits[choices])])
            if token == eos:
                return answer
            answer.append(token)
            if len(answer) == max_new_tokens:
                return answer
            logits = self.prefill([token])


_SLOTS = {name: SlotSchema(values=("a", "b")) for name in ("first", "second", "third", "fourth", "fifth", "sixth")}
_BOUND = StructuredCodec(TOKENIZER, make_schema({"Do": IntentSchema(_SLOTS)}, (), pointers=1), Words())


@pytest.mark.parametrize("room", [1, 2, 4, 8, 12])
def test_what_is_counted_is_what_a_device_says(room: int) -> None:
    """An answer that the context's end or the limit cuts off does nothing; `ask` decodes as the device does."""
    pairs = [Pair("turn on the light", "Do"), Pair("turn on the light " * 12, "Do"), Pair("light " * 65, "Do")]
    context = len(_BOUND.prompt(pairs[0].sentence).tokens) - 1 + room
    limit = max_answer_tokens(_BOUND, pairs)
    said = []
    for seed in range(60):
        engine = BoundEngine(_BOUND.vocab_size, context, seed)
        found = answers(engine, _BOUND, pairs)
        assert found == [ask(engine, _BOUND, pair.sentence, 1, limit).text for pair in pairs]
        assert found[1:] == [NO_MATCH, NO_MATCH]  # not asked: more tokens than the context has, more than 64 words
        said.append(found[0])
    assert (NO_MATCH in said) and (room < 4 or any(text != NO_MATCH for text in said))
