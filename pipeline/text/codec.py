"""Sentences to token ids and answers back: what everything that asks a model goes through.

A model that writes text, or answers in text, has a tokenizer alone; one with intents and slots has answer tokens too,
and knows names and quantities of a sentence before it reads it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

from pipeline.text.annotation import Annotated, Entry
from pipeline.text.answers import AnswerSchema, StructuredAnswer, StructuredPrompt, TokenIds, parse_answer
from pipeline.text.grammar import Grammar, GrammarWalk
from pipeline.text.prompt import PromptTokenizer
from pipeline.text.tokenizers.byte_bpe import BOS, EOS, SEP

__all__ = ["Annotates", "Codec", "PlainCodec", "Prompt", "StructuredCodec"]


class Annotates(Protocol):
    """What knows the names and quantities of a sentence: `pipeline.text.matcher.Annotator`."""

    def annotate(self, text: str) -> Annotated: ...

    def words(self, text: str) -> list[str]:
        """The normalized words of a text, restored as `annotate` does it."""
        ...

    def with_entries(self, entries: Sequence[Entry]) -> Annotates:
        """The same with further names, which are preferred."""
        ...


class Prompt(Protocol):
    """A text as the model sees it, and what its answer says."""

    @property
    def tokens(self) -> Sequence[int]: ...

    def allowed(self, answer: Sequence[int]) -> Sequence[int] | None:
        """The ids that may follow the answer so far, ascending; None where all may."""
        ...

    def refusal(self, context: int) -> str:
        """Why a model that sees so many tokens is not asked, see `StructuredPrompt.refusal`; empty where it is."""
        ...

    def text(self, answer: Sequence[int], confidence: int = 65536) -> str:
        """What an answer's ids say. With answer tokens nothing is done where the answer has no end (`eos`), or a
        confidence in 1/65536 below the model's threshold."""
        ...


class Codec(Protocol):
    """Texts to prompts."""

    @property
    def tokenizer(self) -> PromptTokenizer: ...

    @property
    def vocab_size(self) -> int:
        """Ids in all, those of answer tokens included."""
        ...

    def prompt(self, text: str) -> Prompt: ...

    def encode_pair(self, sentence: str, action: str) -> list[int]:
        """The ids of a sentence's prompt and of the answer, the end of the answer last.

        Raises:
            ValueError: answer tokens cannot say the answer to this sentence.
        """
        ...


@dataclass(frozen=True)
class _PlainPrompt:
    tokenizer: PromptTokenizer
    tokens: Sequence[int]
    walk: GrammarWalk | None = None

    def allowed(self, answer: Sequence[int]) -> Sequence[int] | None:
        """Any id may follow where there is no grammar."""
        return None if self.walk is None else self.walk.allowed(self.tokens[-1], answer)

    def refusal(self, context: int) -> str:
        return "too-long" if len(self.tokens) > context else ""

    def text(self, answer: Sequence[int], confidence: int = 65536) -> str:
        return self.tokenizer.decode(answer, self.tokens[-1])


@dataclass(frozen=True)
class PlainCodec:
    """Text in, text out: see `Codec`.

    Attributes:
        tokenizer: of the model.
        grammar: of answers; None: any text.
    """

    tokenizer: PromptTokenizer
    grammar: Grammar | None = None

    @cached_property
    def _walk(self) -> GrammarWalk | None:
        if self.grammar is None:
            return None
        template = self.tokenizer.template
        bare_start = template.bos if template.strip_leading_space else -1
        return GrammarWalk(self.grammar, self.tokenizer.pieces, frozenset(template.stops), bare_start)

    @property
    def vocab_size(self) -> int:
        """The tokenizer's."""
        return self.tokenizer.vocab_size

    def prompt(self, text: str) -> Prompt:
        """The text in the tokenizer's frame."""
        return _PlainPrompt(self.tokenizer, self.tokenizer.encode_prompt(text), self._walk)

    def encode_pair(self, sentence: str, action: str) -> list[int]:
        """The prompt, the action as text, and `eos`."""
        return [*self.tokenizer.encode_prompt(sentence), *self.tokenizer.encode(action), EOS]


class _AnswerPrompt(StructuredPrompt):
    def text(self, answer: Sequence[int], confidence: int = 65536) -> str:
        return self.answer(answer, confidence).text


class StructuredCodec:
    """Sentences with intents and slots: see `Codec`.

    Args:
        tokenizer: of words.
        schema: the answer tokens.
        annotator: knows names and quantities.
    """

    def __init__(self, tokenizer: PromptTokenizer, schema: AnswerSchema, annotator: Annotates) -> None:
        self.tokenizer, self.schema, self.annotator = tokenizer, schema, annotator
        self.ids = TokenIds(schema, tokenizer.vocab_size)
        self._encode_word = lru_cache(1 << 16)(lambda word: tuple(tokenizer.encode(f" {word}")))

    @property
    def vocab_size(self) -> int:
        """Pieces and answer tokens."""
        return self.ids.end

    def prompt(self, text: str) -> _AnswerPrompt:
        """The sentence with its marks."""
        return self._prompt(self.annotator.annotate(text))

    def encode_pair(self, sentence: str, action: str) -> list[int]:
        """The ids of a sentence and its answer, see `encode_sample`; the action is as `StructuredAnswer.text`."""
        answer = parse_answer(action, self.schema.slots)
        return self.encode_sample(sentence, answer.intent, answer.slots)

    def encode_sample(
        self,
        sentence: str,
        intent: str,
        slots: Mapping[str, str],
        entries: Sequence[Entry] = (),
        excluded: Container[str] = (),
    ) -> list[int]:
        """The ids of a sentence and its answer, see `lesson`."""
        return self.lesson(sentence, intent, slots, entries, excluded)[1]

    def lesson(
        self,
        sentence: str,
        intent: str,
        slots: Mapping[str, str],
        entries: Sequence[Entry] = (),
        excluded: Container[str] = (),
    ) -> tuple[Prompt, list[int]]:
        """A sentence's prompt, and the ids of the sentence and its answer.

        Args:
            sentence: as it is said.
            intent: its name.
            slots: canonical values.
            entries: names known where it is said, beside those of the annotator.
            excluded: sentences that are refused, as their normalized words with single spaces.

        Raises:
            ValueError: the answer cannot be given, see `StructuredPrompt.encode`, the sentence has too many names, or
                it is excluded.
        """
        annotator = self.annotator.with_entries(entries) if entries else self.annotator
        if excluded and " ".join(annotator.words(sentence)) in excluded:
            raise ValueError("the sentence is excluded")
        prompt = self._prompt(annotator.annotate(sentence))
        if prompt.has_too_many_names:
            raise ValueError("the sentence has more names and quantities than there are pointers")
        return prompt, [*prompt.tokens, *prompt.encode(intent, slots, annotator.words)]

    def answer(self, sentence: str, tokens: Sequence[int], confidence: int = 65536) -> StructuredAnswer:
        """What the ids of an answer to the sentence say."""
        return self.prompt(sentence).answer(tokens, confidence)

    def _prompt(self, annotated: Annotated) -> _AnswerPrompt:
        return _AnswerPrompt(annotated, self.ids, self._encode_word, BOS, SEP, EOS)
