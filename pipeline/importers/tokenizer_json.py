"""tokenizer.json of the library `tokenizers`: byte-level BPE, and BPE with bytes for what is unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.errors import ThimbleError
from pipeline.importers.refusals import Refusals
from pipeline.importers.tokenizer_parts import BYTE_TEXTS, SPACE, Frame, finished, space_pieces, spaced_template
from pipeline.text.pretokenizer import CharacterClass, WordForm, WordRules
from pipeline.text.prompt import PromptTemplate
from pipeline.text.tokenizers.tables import TableTokenizer

__all__ = ["BYTE_CHARACTERS", "LLAMA3_WORDS", "byte_level", "read_tokenizer_json", "word_rules"]


def _byte_characters() -> dict[str, int]:
    """The character that byte-level vocabularies write for each byte (GPT-2's `bytes_to_unicode`)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + place): byte for place, byte in enumerate(hidden)}


BYTE_CHARACTERS = _byte_characters()
_GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%d}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The expression of Llama 3, of Qwen 2 with one digit; `%d` is the most digits of a word."""
_REMEDY = "take a model with a byte-level BPE, or a SentencePiece BPE with bytes for unknown characters"
_AT_ONCE = 4096  # characters: the library's time grows with the square of a text
_DIGITS = {"type": "Digits", "individual_digits": True}


def read_tokenizer_json(path: Path, vocab_size: int, frame: Frame, refusals: Refusals) -> TableTokenizer | None:
    """The tokenizer as tables; None where it is refused.

    Args:
        path: the file.
        vocab_size: of the model, which may have more ids.
        frame: what begins and ends a text.
        refusals: gets the reasons.

    Raises:
        ThimbleError: the file is damaged.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        model, added = data["model"], data.get("added_tokens") or []
        kind = model.get("type") or ("BPE" if "merges" in model else None)
        specials = {str(token["content"]): int(token["id"]) for token in added}
        plain = [str(token["content"]) for token in added if not token.get("special")]
        vocabulary = {**model["vocab"], **specials} if isinstance(model.get("vocab"), dict) else specials
        merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model.get("merges", ())]
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", "give the whole folder") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ThimbleError(f"{path} is no tokenizer: {error}", "give the file that belongs to the model") from None
    name = path.name
    if kind != "BPE":
        refusals.add(f"{name} is a tokenizer of the kind {kind!r}", _REMEDY)
        return None
    for key in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(key):
            refusals.add(f"{name} has {key} {model[key]!r}", _REMEDY)
    if plain:
        refusals.add(
            f"{name} has {len(plain)} added tokens that are no specials, such as {plain[0]!r}",
            "take a model whose text is pieces alone",
        )
    if not _is_whole(vocabulary, merges, vocab_size):
        refusals.add(
            f"{name} has ids beyond the model's {vocab_size:,}, or merges of no pieces",
            "give the file that belongs to the model",
        )
        return None
    bos, stops = frame.ids(vocabulary, vocab_size, refusals)
    pairs = {(vocabulary[a], vocabulary[b]): (rank, vocabulary[a + b]) for rank, (a, b) in enumerate(merges)}
    if _is_sentencepiece(data):
        return _with_bytes(name, vocabulary, specials, pairs, (bos, stops), vocab_size, data, refusals)
    rules = _rules(name, data, refusals)
    if rules is None:
        return None
    texts = {text: index for text, index in vocabulary.items() if text not in specials}
    tokenizer = byte_level(name, texts, pairs, rules, (bos, stops), vocab_size, refusals)
    if model.get("ignore_merges") and tokenizer is not None and (odd := _unreachable(tokenizer, texts)):
        refusals.add(f"{name} has words that no merges make, such as {odd!r} (`ignore_merges`)", _REMEDY)
    return tokenizer


def byte_level(
    name: str,
    texts: Mapping[str, int],
    merges: Mapping[tuple[int, int], tuple[int, int]],
    rules: WordRules,
    frame: tuple[int, tuple[int, ...]],
    vocab_size: int,
    refusals: Refusals,
) -> TableTokenizer | None:
    """The tables of a byte-level BPE; None where it is refused.

    Args:
        name: of the file, for messages.
        texts: ids by their texts, specials left out, a character for a byte.
        merges: (left id, right id) → (rank, merged id).
        rules: how a text falls into words.
        frame: what begins every prompt, and what ends an answer.
        vocab_size: of the model.
        refusals: gets the reasons.
    """
    odd = next((text for text in texts if not set(text) <= BYTE_CHARACTERS.keys()), None)
    if odd is not None:
        refusals.add(f"{name} has the token {odd!r}, which is no bytes", "take a model whose text is pieces alone")
        return None
    missing = sum(character not in texts for character in BYTE_CHARACTERS)
    if missing:
        refusals.add(
            f"{name} has no tokens for {missing} of the 256 bytes",
            "train it with `initial_alphabet=ByteLevel.alphabet()`",
        )
        return None
    pieces = [b""] * vocab_size
    for text, index in texts.items():
        pieces[index] = bytes(BYTE_CHARACTERS[character] for character in text)
    byte_ids = sorted((byte, texts[character]) for character, byte in BYTE_CHARACTERS.items())
    template = PromptTemplate(
        bos=frame[0],
        suffix=(),
        stops=frame[1],
        byte_base=0,
        byte_ids=tuple(index for _, index in byte_ids),
        word_rules=rules,
    )
    return finished(pieces, {}, merges, template, refusals)


@cache
def word_rules(form: WordForm, max_digits: int = 3) -> WordRules:
    """The rules with the characters' classes of the library: half a second."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Digits, Split

    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]

    def matched(splitter: Any) -> set[str]:
        """Characters that are taken out, or stand apart."""
        found: set[str] = set()
        for at in range(0, len(characters), _AT_ONCE):
            part = "".join(characters[at : at + _AT_ONCE])
            left = {c for text, _ in splitter.pre_tokenize_str(part) for c in text}
            found |= set(part) - left
        return found

    kinds = {
        kind: matched(Split(Regex(expression), "removed"))
        for kind, expression in (
            (CharacterClass.LETTER, r"\p{L}"),
            (CharacterClass.NUMBER, r"\p{N}"),
            (CharacterClass.SPACE, r"\s"),
        )
    }
    if form == WordForm.GPT2_DIGITS:
        known = set().union(*kinds.values())
        others = [c for c in characters if c not in known and c != "a"]
        texts = ("a".join(["", *others[at : at + _AT_ONCE], ""]) for at in range(0, len(others), _AT_ONCE))
        parts = (part for text in texts for part, _ in Digits(individual_digits=True).pre_tokenize_str(text))
        kinds[CharacterClass.DIGIT] = {part for part in parts if len(part) == 1 and part != "a"}
    of_character = {ord(character): kind for kind, found in kinds.items() for character in found}
    runs: list[tuple[int, int]] = []
    for code in range(0x110000):
        kind = of_character.get(code, CharacterClass.OTHER)
        if not runs or runs[-1][1] != kind:
            runs.append((code, int(kind)))
    return WordRules(form, max_digits, tuple(runs))


def _is_whole(vocabulary: Mapping[str, Any], merges: list[tuple[str, ...]], vocab_size: int) -> bool:
    """Whether all ids are the model's, and all merges are of pieces."""
    return all(
        isinstance(index, int) and not isinstance(index, bool) and 0 <= index < vocab_size
        for index in vocabulary.values()
    ) and all(len(pair) == 2 and {*pair, pair[0] + pair[1]} <= vocabulary.keys() for pair in merges)


def _parts(section: Any, key: str) -> list[dict[str, Any]]:
    """The parts of a normalizer or pre-tokenizer, those of sequences one by one."""
    if not isinstance(section, dict):
        return []
    if section.get("type") == "Sequence":
        return [part for inner in section.get(key) or () for part in _parts(inner, key)]
    return [section]


def _is_sentencepiece(data: Mapping[str, Any]) -> bool:
    model = data["model"]
    return bool(model.get("byte_fallback")) and any(SPACE in text for text in model.get("vocab") or ())


def _with_bytes(
    name: str,
    vocabulary: Mapping[str, int],
    specials: Mapping[str, int],
    merges: Mapping[tuple[int, int], tuple[int, int]],
    frame: tuple[int, tuple[int, ...]],
    vocab_size: int,
    data: Mapping[str, Any],
    refusals: Refusals,
) -> TableTokenizer | None:
    """A BPE of characters in which a sign stands for a space, and bytes for what is unknown."""
    space = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prefix = False
    for part in _parts(data.get("normalizer"), "normalizers"):
        if part == {"type": "Prepend", "prepend": SPACE}:
            prefix = True
        elif part != space:
            refusals.add(f"{name} normalizes by {part.get('type')}", _REMEDY)
    for part in _parts(data.get("pre_tokenizer"), "pretokenizers"):
        scheme = part.get("prepend_scheme")
        if part.get("type") != "Metaspace" or part.get("split", True) or scheme != "never":
            refusals.add(
                f"{name} cuts texts by {part.get('type')}" + (f" with prepend_scheme {scheme!r}" if scheme else ""),
                "give the tokenizer.model that it was made from, without tokenizer.json",
            )
    missing = sum(text not in vocabulary for text in BYTE_TEXTS)
    if missing:
        refusals.add(f"{name} has no tokens for {missing} of the 256 bytes", _REMEDY)
        return None
    pieces, characters = [b""] * vocab_size, {}
    for text, index in vocabulary.items():
        if text in BYTE_TEXTS:
            pieces[index] = bytes([BYTE_TEXTS[text]])
        elif text not in specials:
            pieces[index] = space_pieces(text)
            if len(text) == 1:
                characters[text] = index
    if SPACE in characters:
        characters[" "] = characters[SPACE]
    elif prefix:
        refusals.add(f"{name} has no token for a space, with which every text begins", _REMEDY)
        return None
    template = spaced_template(frame, characters.get(SPACE), prefix, [vocabulary[text] for text in BYTE_TEXTS])
    return finished(pieces, characters, merges, template, refusals)


def _rules(name: str, data: Mapping[str, Any], refusals: Refusals) -> WordRules | None:
    """How a byte-level tokenizer cuts texts; None where nothing here does so."""
    for part in _parts(data.get("normalizer"), "normalizers"):
        refusals.add(f"{name} normalizes by {part.get('type')}", _REMEDY)
    parts = _parts(data.get("pre_tokenizer"), "pretokenizers")
    levels = [part for part in parts if part.get("type") == "ByteLevel"]
    if len(levels) != 1 or parts[-1] is not levels[0] or data["model"].get("byte_fallback"):
        kinds = ", ".join(str(part.get("type")) for part in parts) or "nothing"
        refusals.add(f"{name} is no byte-level BPE: it cuts texts by {kinds}", _REMEDY)
        return None
    if levels[0].get("add_prefix_space"):
        refusals.add(f"{name} puts a space before texts (`add_prefix_space`)", "take a model without, as GPT-2 is")
    others, expression = parts[:-1], levels[0].get("use_regex", True)
    if expression and not others:
        return word_rules(WordForm.GPT2)
    if expression and others == [_DIGITS]:
        return word_rules(WordForm.GPT2_DIGITS)
    if not expression and len(others) == 1 and others[0].get("type") == "Split":
        pattern = (others[0].get("pattern") or {}).get("Regex")
        whole = str(others[0].get("behavior")).lower() == "isolated" and not others[0].get("invert")
        if whole and pattern == _GPT2_WORDS:
            return word_rules(WordForm.GPT2)
        for digits in (1, 2, 3):
            of_digits = {LLAMA3_WORDS % digits, (LLAMA3_WORDS % digits).replace("{1,1}", "")}
            if whole and pattern in of_digits:
                return word_rules(WordForm.LLAMA3, digits)
    told = "; ".join(str(part.get("pattern") or part.get("type")) for part in others) or "no expression"
    refusals.add(
        f"{name} cuts texts in a way of its own: {told:.120}", "take a model that cuts as GPT-2 or Llama 3 does"
    )
    return None


def _unreachable(tokenizer: TableTokenizer, texts: Mapping[str, int]) -> str | None:
    """A piece that the merges of its bytes do not make."""
    for text, index in texts.items():
        if tokenizer.encode_bytes(bytes(BYTE_CHARACTERS[character] for character in text)) != [index]:
            return text
    return None
