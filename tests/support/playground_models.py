"""A model with answer tokens, one without, and one bound to a grammar, that cost nothing: the stand-in with a small
task."""

from __future__ import annotations

from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.samples import IntentSchema, SlotSchema
from pipeline.tasks.text_path import KnownNames
from pipeline.text.annotation import Entry
from pipeline.text.codec import PlainCodec, StructuredCodec
from pipeline.text.grammar_sources import compile_source
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from tests.support.standin import VOCAB, standin_tokenizer

__all__ = ["LOGIT_STEP", "NAMES", "bound_codec", "plain_codec", "structured_codec"]

LOGIT_STEP = 1 << 21
"""Of standin/model.c."""
NAMES = (Entry("lamp", "light", "Lamp"), Entry("the big one", "light", "Chandelier"))
_INTENTS = {
    "TurnOn": IntentSchema(
        {"name": SlotSchema(kinds=frozenset({"light"})), "to": SlotSchema(kinds=frozenset({"percent"}))}
    ),
    "Wait": IntentSchema({unit: SlotSchema(kinds=frozenset({"number"})) for unit in ("hours", "minutes")}),
}


def _tokenizer() -> Tokenizer:
    return Tokenizer.train(["turn on"] * 3, 268)


def plain_codec() -> PlainCodec:
    """Of a model that goes on with text."""
    return PlainCodec(_tokenizer())


def bound_codec() -> PlainCodec:
    """Of a model whose text follows a grammar."""
    rules = 'root ::= "light" "s"? " " ("on" | "off" | "to " [1-9] [0-9]{0,2} "%") "."'
    return PlainCodec(standin_tokenizer(), compile_source("light.gbnf", rules, 1))


def structured_codec() -> StructuredCodec:
    """Of a model that turns lamps on, and knows `NAMES`."""
    names = KnownNames("en", NAMES, ("for", "on", "the", "turn", "wait"))
    codec = StructuredCodec(_tokenizer(), make_schema(_INTENTS, ("light",), 3, 0.001), names.annotator())
    assert codec.vocab_size <= VOCAB
    return codec
