"""What an engine that decodes token by token is asked, and how its answers count."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.tasks.accuracy import ANSWER_MARGIN, answers, exact_match, matches, max_answer_tokens
from pipeline.tasks.task import Pair
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import EOS
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
