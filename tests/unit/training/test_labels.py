"""What a teacher says of sentences without actions."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.tasks.task import Pair
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.training.labels import decode_all

TOKENIZER = Tokenizer.train(["turn on the light", "HassTurnOn domain=light"] * 5, 300)


class Teacher:
    """Answers prompts with the given answers in order, and records the prompts."""

    def __init__(self, context: int, answers: Sequence[str]) -> None:
        self.context = context
        self._answers = iter(answers)
        self.asked: list[list[int]] = []

    def generate(self, prompt: Sequence[int], max_new_tokens: int, eos: int, allowed: object = None) -> list[int]:
        self.asked.append(list(prompt))
        answer = TOKENIZER.encode_pair("", next(self._answers))
        return answer[len(TOKENIZER.encode_prompt("")) : -1][:max_new_tokens]


def test_answers_take_the_place_of_actions() -> None:
    teacher = Teacher(64, ["HassTurnOn domain=light", "HassTurnOn"])
    sentences = ["turn on the light", "the light on"]
    assert decode_all(teacher, PlainCodec(TOKENIZER), sentences) == [
        Pair("turn on the light", "HassTurnOn domain=light"),
        Pair("the light on", "HassTurnOn"),
    ]
    assert teacher.asked == [TOKENIZER.encode_prompt(sentence) for sentence in sentences]


def test_sentences_without_an_end_of_their_answer_are_left_out() -> None:
    prompt = len(TOKENIZER.encode_prompt("turn on"))
    teacher = Teacher(prompt + 2, ["HassTurnOn domain=light domain=light", ""])
    reported: list[int] = []
    assert (
        decode_all(
            teacher,
            PlainCodec(TOKENIZER),
            ["turn on", "turn on", "turn on the light turn on the light"],
            reported.append,
        )
        == []
    )
    assert reported == [1, 2, 3]
    assert len(teacher.asked) == 2  # the last sentence does not fit, and is not asked
