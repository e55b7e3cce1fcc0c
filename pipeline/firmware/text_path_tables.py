"""All tables of what stands between a sentence and its answer, for models with answer tokens."""

from __future__ import annotations

from pathlib import Path

from pipeline.firmware.answer_tables import write_answers
from pipeline.firmware.normalize_tables import write_normalizer
from pipeline.firmware.quantity_tables import write_quantities
from pipeline.firmware.vocabulary_tables import write_vocabulary
from pipeline.text.codec import StructuredCodec
from pipeline.text.matcher import Annotator
from pipeline.text.normalize import Normalizer
from pipeline.text.quantities import Quantities

__all__ = ["write_text_path"]


def write_text_path(codec: StructuredCodec, out: Path) -> None:
    """Writes the tables of words, quantities, names and answer tokens into a folder.

    Raises:
        ThimbleError: there is more of something than its tables hold.
    """
    annotator = codec.annotator
    assert isinstance(annotator, Annotator), "a model's own annotator"
    normalizer, quantities, vocabulary = annotator.normalizer, annotator.quantities, annotator.vocabulary
    assert isinstance(normalizer, Normalizer) and isinstance(quantities, Quantities), "those that have tables"
    write_normalizer(normalizer.table, out, annotator.restore, vocabulary.inflection.umlauts, normalizer.elided)
    write_quantities(quantities.tables, out)
    write_vocabulary(vocabulary, annotator.known_words, codec.schema.kinds, out)
    write_answers(codec.schema, codec.ids.first, out)
