"""A library of two models that learned a few sentences by heart: one answers in intents, one writes text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.compiler import WeightLayout
from pipeline.firmware.library import LibraryModel, write_library
from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.samples import IntentSchema, SlotSchema
from pipeline.tasks.text_path import KnownNames
from pipeline.text.annotation import Entry
from pipeline.text.codec import PlainCodec, StructuredCodec
from pipeline.text.tokenizers.byte_bpe import EOS, Tokenizer
from tests.support.learning import learn

__all__ = ["CONTEXT", "SENTENCES", "STORIES", "TinyLibrary", "make_models"]

CONTEXT = 40
_INTENTS = {
    "HassLightSet": IntentSchema(
        {
            "name": SlotSchema(kinds=frozenset({"light"})),
            "brightness": SlotSchema(kinds=frozenset({"percent"})),
            "domain": SlotSchema(values=("light", "cover")),
        }
    ),
    "HassPlay": IntentSchema({"title": SlotSchema(is_free=True)}),
}
_NAMES = KnownNames(
    "en",
    (Entry("desk lamp", "light", "Desk Lamp"), Entry("kitchen", "light", "Kitchen")),
    ("on", "play", "the", "turn"),
)
SENTENCES: dict[str, tuple[str, dict[str, str]]] = {
    "turn on the desk lamp": ("HassLightSet", {"domain": "light", "name": "Desk Lamp"}),
    "Desk lamp to 50%!": ("HassLightSet", {"brightness": "50", "name": "Desk Lamp"}),
    "play Ångström’s “Déjà vu”": ("HassPlay", {"title": "Ångström’s “Déjà vu”"}),
    "☃": ("NoMatch", {}),
}
STORIES = {
    "once upon a time": " there was a Löwe ☃ in the kitchen",
    "the end": " of the story is not the end of it all, it goes on and on",
}


@dataclass(frozen=True)
class TinyLibrary:
    """Both models, and their codecs."""

    intents: bytes
    text: bytes
    intents_codec: StructuredCodec
    text_codec: PlainCodec

    @property
    def models(self) -> tuple[LibraryModel, LibraryModel]:
        """For `write_library`."""
        return (
            LibraryModel("tiny_intents", self.intents, self.intents_codec),
            LibraryModel("tiny_text", self.text, self.text_codec),
        )

    def write(self, folder: Path, packing: WeightLayout = WeightLayout.INTERLEAVED_2) -> Path:
        """The library in a folder that does not exist yet."""
        write_library(self.models, packing, folder)
        return folder


def make_models() -> TinyLibrary:
    """Trains both; some seconds."""
    tokenizer = Tokenizer.train([*SENTENCES, *STORIES, *STORIES.values()] * 3, 420, 40)
    schema = make_schema(_INTENTS, {"light"}, 3, 0.0)
    intents_codec, text_codec = StructuredCodec(tokenizer, schema, _NAMES.annotator()), PlainCodec(tokenizer)
    sentences = [intents_codec.encode_sample(sentence, *answer) for sentence, answer in SENTENCES.items()]
    stories = [[*tokenizer.encode_prompt(start), *tokenizer.encode(rest), EOS] for start, rest in STORIES.items()]
    return TinyLibrary(
        _learned(intents_codec.vocab_size, sentences, 1),
        _learned(tokenizer.vocab_size, stories, 2),
        intents_codec,
        text_codec,
    )


def _learned(vocab: int, sequences: Sequence[Sequence[int]], seed: int) -> bytes:
    """The .tflite of a decoder that knows sequences by heart."""
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize
    from pipeline.recipes.schema import ModelConfig

    keras.utils.set_random_seed(seed)
    sizes = {"d_model": 32, "layers": 2, "heads": 2, "kv_heads": 1, "ffn_dim": 48, "context": CONTEXT}
    config = ModelConfig.from_mapping({"vocab_size": vocab, **sizes})
    model = build_decoder(config)
    learn(model, sequences, CONTEXT, 120)
    calibration = [(list(sequence) * CONTEXT)[:CONTEXT] for sequence in sequences]
    return quantize(model, config, calibration)
