"""What a teacher says of sentences without actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.recipes.schema import DistillConfig
from pipeline.tasks.task import Pair
from pipeline.text.codec import PlainCodec, Prompt
from pipeline.text.tokenizers.byte_bpe import PAD, Tokenizer
from pipeline.training.labels import decode_all, pseudo_label
from pipeline.training.loop import TrainingData

TOKENIZER = Tokenizer.train(["turn on the light", "HassTurnOn domain=light"] * 5, 300)
CODEC = PlainCodec(TOKENIZER)


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


class Stream:
    """Sentences of which each is said in its own way; a `SequenceStream`."""

    def epoch(self, number: int) -> Sequence[Sequence[int]]:
        raise AssertionError("labelling needs the first sentences alone, not a pool of them")

    def lessons(self, count: int) -> Iterator[tuple[Prompt, Sequence[int]]]:
        for number in range(count):
            pair = Pair("turn on the light" + " please" * number, "HassTurnOn domain=light")
            yield CODEC.prompt(pair.sentence), CODEC.encode_pair(pair.sentence, pair.action)


def test_a_stream_gives_sentences_to_label() -> None:
    data = TrainingData(CODEC, [], [], 64, Stream())
    teacher = Teacher(64, ["HassTurnOn", "", "HassTurnOn domain=light"])
    reported: list[int] = []
    config = DistillConfig(teacher="teacher.yaml", labelled=2, relabelled=3)
    taught = pseudo_label(data, config, teacher, reported.append)
    true = [tokens for _, tokens in Stream().lessons(5)]
    assert taught.sequences == [*true[:2], CODEC.encode_pair("turn on the light please please", "HassTurnOn"), true[4]]
    assert taught.size == 4 and taught.stream is None and reported == [1, 2, 3]
    assert teacher.asked == [CODEC.prompt("turn on the light" + " please" * number).tokens for number in (2, 3, 4)]
    few = data.first(2)
    assert few.sequences == true[:2] and few.size == 2
    batch = next(few.batches(2, 1))
    assert {tuple(row[row != PAD].tolist()) for row in batch} == set(map(tuple, true[:2]))


def test_answers_that_the_student_does_not_see_whole_are_left_out() -> None:
    longest = len(CODEC.encode_pair("turn on the light please", "HassTurnOn domain=light"))
    data = TrainingData(CODEC, [], [], longest - 1, Stream())
    config = DistillConfig(teacher="teacher.yaml", labelled=1, relabelled=1)
    assert pseudo_label(data, config, Teacher(64, ["HassTurnOn domain=light"])).size == 1


def test_the_first_pairs_alone() -> None:
    pairs = [Pair("turn on the light", "HassTurnOn domain=light"), Pair("turn on", "HassTurnOn")]
    few = TrainingData(CODEC, pairs, [], 64).first(1)
    assert list(few.pairs) == pairs[:1] and few.size == len(few.sequences) == 1
