"""Finds what is known in a sentence: names, also inflected, compounded or misspelt, and quantities.

`firmware_templates/runtime/thimble_matcher.c` is its twin and finds the same to the byte.

Words are restored first: one that the task does not know, but whose skeleton is that of a word with accents, becomes
that word. Then three passes go from left to right, each over what the passes before have not marked:

1. Names word for word, but for a clitic at the end, and quantities; the longest that begins at a word, a name before
   an equally long quantity.
2. Names in other forms: written together or apart, without accents, with an ending, in front of a noun in one word,
   which is then split in two. The longest span of words first.
3. Names with typos: an edit is a letter too many, missing, wrong, or two swapped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from pipeline.text.annotation import Annotated, Entry, Mark, Quantity, Word
from pipeline.text.known_words import KnownWords
from pipeline.text.vocabulary import (
    MAX_FUZZY_LETTERS,
    MIN_FUZZY_LETTERS,
    MIN_TYPO_LETTERS,
    Layer,
    Name,
    TextNormalizer,
    Vocabulary,
    digits_of,
    letters_of,
)

__all__ = ["MAX_SPAN_WORDS", "Annotator", "edit_distance"]

MAX_SPAN_WORDS = 8
"""Names in other forms and with typos take at most so many words."""
LONG_NAME_LETTERS = 9
"""Names of so many letters may have two typos."""


class WordNormalizer(TextNormalizer, Protocol):
    """What an annotator asks of a normalizer."""

    def words(self, text: str) -> list[Word]:
        """Normalized words and where they were."""
        ...


class QuantityFinder(Protocol):
    """What an annotator asks of the quantities of a language."""

    def at(self, words: Sequence[str], index: int) -> Quantity | None:
        """The longest quantity that begins at a word."""
        ...


class Annotator:
    """Marks the names and quantities of sentences.

    Attributes:
        normalizer: makes words of sentences.
        vocabulary: the names.
        quantities: of the language.
        known_words: that the task's templates say; none of them is a misspelt or inflected name, and each may follow a
            name in a compound.
        restore: words with accents by their skeletons.
    """

    def __init__(
        self,
        normalizer: WordNormalizer,
        vocabulary: Vocabulary,
        quantities: QuantityFinder,
        known_words: Collection[str],
        restore: Mapping[str, str],
    ) -> None:
        self.vocabulary = vocabulary
        self.normalizer = normalizer
        self.quantities = quantities
        self.known_words = frozenset(known_words)
        self._nouns = KnownWords(self.known_words)
        self._known = KnownWords(self.known_words | vocabulary.inflection.common_words)
        self._common = KnownWords(vocabulary.inflection.common_words)
        self.restore = restore

    def with_entries(self, entries: Iterable[Entry]) -> Annotator:
        """An annotator that knows more names, which count before those of this one."""
        above = Annotator.__new__(Annotator)
        above.__dict__ = {**self.__dict__, "vocabulary": self.vocabulary.with_entries(entries)}
        return above

    def annotate(self, text: str) -> Annotated:
        """The sentence's words and its marks: all of them, however many."""
        sentence = _Sentence(text, self._restored(text), self)
        sentence.mark_exact()
        sentence.mark_other_forms()
        sentence.mark_misspelt()
        return Annotated(text, tuple(sentence.words), tuple(sentence.marks))

    def words(self, text: str) -> list[str]:
        """The normalized words of a text, restored as `annotate` does it."""
        return [word.text for word in self._restored(text)]

    def _restored(self, text: str) -> list[Word]:
        words = self.normalizer.words(text)
        known, restore, skeleton = self._known, self.restore, self.vocabulary.forms.skeleton
        for index, word in enumerate(words):
            if word.text not in known:
                restored = restore.get(skeleton(word.text))
                if restored is not None:
                    words[index] = Word(restored, word.start, word.end)
        return words


class _Sentence:
    """A sentence while it is marked."""

    def __init__(self, original: str, words: list[Word], annotator: Annotator) -> None:
        self.original = original
        self.words = words
        self.texts = [word.text for word in words]
        self.marks: list[Mark] = []
        self.layers = annotator.vocabulary.layers
        self.inflection = annotator.vocabulary.inflection
        self.forms = annotator.vocabulary.forms
        self.skeleton = self.forms.skeleton
        self.skeletons = [self.skeleton(text) for text in self.texts]
        self.quantities = annotator.quantities
        self.nouns = annotator._nouns
        self.known = annotator._known
        self.common = annotator._common
        self.restore = annotator.restore
        self.longest = max([layer.longest for layer in self.layers])
        self._seams: dict[str, list[int]] = {}

    # Pass 1

    def mark_exact(self) -> None:
        texts, marks, at = self.texts, self.marks, self.quantities.at
        index, count = 0, len(texts)
        while index < count:
            name = self.exact(index, count)
            quantity = at(texts, index)
            if quantity is not None and (name is None or index + quantity.count > name.end):
                end = index + quantity.count
                marks.append(Mark(quantity.kind, index, end, quantity.value, quantity.parts, True))
                index = end
            elif name is not None:
                marks.append(name)
                index = name.end
            else:
                index += 1

    def exact(self, index: int, limit: int) -> Mark | None:
        """The longest name that begins at a word and ends before `limit`, word for word.

        A clitic may hang on the last word unless that is known: in "living room lamp's" the living room is not meant.
        """
        texts = self.texts
        first = texts[index]
        firsts = [first, *[first.removesuffix(clitic) for clitic in self.inflection.clitics]]
        layers = [layer for layer in self.layers if not layer.first_words.isdisjoint(firsts)]
        if not layers:
            return None
        longest = max([layer.max_words for layer in layers])
        for end in range(min(limit, index + longest), index, -1):
            text = " ".join(texts[index:end])
            for layer in layers:
                entry = layer.by_text.get(text)
                if entry is not None:
                    return Mark(entry.kind, index, end, entry.value)
            for clitic in self.inflection.clitics:
                if text.endswith(clitic) and texts[end - 1] not in self.known:
                    for layer in layers:
                        entry = layer.by_text.get(text[: len(text) - len(clitic)])
                        if entry is not None:
                            return Mark(entry.kind, index, end, entry.value)
        return None

    # Pass 2

    def mark_other_forms(self) -> None:
        index, position = 0, 0  # in the words; in the marks, of the first that is not before the word
        marks = self.marks
        while index < len(self.texts):
            if position < len(marks) and marks[position].first == index:
                index = marks[position].end
                position += 1
                continue
            limit = marks[position].first if position < len(marks) else len(self.texts)
            found = self.other_form(index, limit)
            if found is None:
                index += 1
                continue
            mark, seam = found
            if seam:
                self.split(mark.end - 1, seam, position)
                limit += 1
            marks.insert(position, mark)
            position += 1
            index = mark.end
            if seam:
                follower = self.exact(index, limit)
                if follower is not None:
                    marks.insert(position, follower)
                    position += 1
                    index = follower.end

    def other_form(self, index: int, limit: int) -> tuple[Mark, int] | None:
        """The longest name in another form that begins at a word; and where its last word is split, 0 if it is not."""
        skeletons, inflection = self.skeletons, self.inflection
        beginning = skeletons[index]
        for position in range(index + 1, limit):
            if len(beginning) >= MIN_FUZZY_LETTERS:
                break
            beginning = inflection.joined(beginning, skeletons[position])
        beginning = beginning[:MIN_FUZZY_LETTERS]
        layers = [layer for layer in self.layers if beginning in layer.beginnings]
        if not layers:
            return None
        texts = self.texts
        before = self.spans(index, limit)
        for num_words in range(len(before), 0, -1):
            end = index + num_words
            if num_words == 1 and texts[index] in self.known:
                called = self.called_as_known(index, layers)
                return None if called is None else (Mark(called.kind, index, end, called.value), 0)
            entry = self.inflected(index, end, before[-1], layers)
            if entry is not None:
                return Mark(entry.kind, index, end, entry.value), 0
            compound = self.compound(end - 1, before[-1], layers)
            if compound is not None:
                return Mark(compound[0].kind, index, end, compound[0].value), compound[1]
            before.pop()
        return None

    def spans(self, index: int, limit: int) -> list[str]:
        """For spans of one word, two words and so on: the skeleton of the words before the last.

        Ends where they alone are as long as the longest name, since a name must reach into the last word.
        """
        longest = self.longest
        before = [""]
        for position in range(index, min(limit, index + MAX_SPAN_WORDS) - 1):
            joined = self.inflection.joined(before[-1], self.skeletons[position])
            if len(joined) >= longest:
                break
            before.append(joined)
        return before

    def inflected(self, index: int, end: int, before: str, layers: Sequence[Layer]) -> Entry | None:
        """The name that a span is, with an ending or without."""
        forms, inflection = self.forms, self.inflection
        last = self.skeletons[end - 1]
        joined = inflection.joined(before, last)
        endings = forms.endings(last)
        for ending in endings:
            key = joined[: len(joined) - ending]
            for layer in layers:
                pair = layer.by_skeleton.get(key)
                if pair is not None and (len(pair[0].words) == end - index or self.may_join(index, end)):
                    return pair[1]
        return self.with_inner_endings(index, end, endings, layers) or self.declined(index, end, layers)

    def with_inner_endings(self, index: int, end: int, endings: Sequence[int], layers: Sequence[Layer]) -> Entry | None:
        """The name that a span of several words is but for the endings of its words."""
        forms = self.forms
        if end == index + 1 or not self.inflection.inner:
            return None
        first, last = forms.stem(self.skeletons[index]), self.skeletons[end - 1]
        if not any(first in layer.first_stems for layer in layers):
            return None
        stems = " ".join([*map(forms.stem, self.skeletons[index : end - 1]), last])
        for ending in endings:
            key = stems[: len(stems) - ending]
            for layer in layers:
                entry = layer.by_stems.get(key)
                if entry is not None:
                    return entry
        return None

    def declined(self, index: int, end: int, layers: Sequence[Layer]) -> Entry | None:
        """The name whose words have the same stems."""
        if not self.inflection.stems:
            return None
        stems = tuple(map(self.forms.declined, self.skeletons[index:end]))
        for layer in layers:
            entry = layer.by_declined.get(stems)
            if entry is not None:
                return entry
        return None

    def called_as_known(self, index: int, layers: Sequence[Layer]) -> Entry | None:
        """The name that a word of the templates is in another case: "klimatyzację" for "Klimatyzacja", as that itself
        is a name though templates say it."""
        return None if self.texts[index] in self.common else self.declined(index, index + 1, layers)

    def may_join(self, index: int, end: int) -> bool:
        """Whether words can be a name that is divided otherwise: not "an der" for "Ander"."""
        return end == index + 1 or any(len(text) >= 4 or text not in self.known for text in self.texts[index:end])

    def compound(self, index: int, before: str, layers: Sequence[Layer]) -> tuple[Entry, int] | None:
        """The longest name that ends within a word in front of a noun, and where the noun begins in the word."""
        inflection = self.inflection
        text = self.texts[index]
        if not inflection.linking or text in self.known or len(text) > MAX_FUZZY_LETTERS:
            return None
        for seam in self.seams(text):
            part = self.skeleton(text[:seam])
            joined = inflection.joined(before, part)
            for linking in inflection.linking:
                if not part.endswith(linking):
                    continue
                entry = self.in_compound(joined[: len(joined) - len(linking)], layers)
                if entry is not None:
                    return entry, seam
            for dropped in inflection.dropped if len(joined) >= MIN_FUZZY_LETTERS else ():
                entry = self.in_compound(joined + dropped, layers)
                if entry is not None:
                    return entry, seam
        return None

    def seams(self, text: str) -> Sequence[int]:
        """Where a noun begins in a word, the last first."""
        seams = self._seams.get(text)
        if seams is None:
            places = range(len(text) - MIN_FUZZY_LETTERS, 0, -1)
            seams = self._seams[text] = [seam for seam in places if self.noun(text[seam:]) is not None]
        return seams

    def in_compound(self, key: str, layers: Sequence[Layer]) -> Entry | None:
        if len(key) < self.inflection.min_letters:
            return None
        for layer in layers:
            pair = layer.by_skeleton.get(key)
            if pair is not None:
                return pair[1]
        return None

    def noun(self, text: str) -> str | None:
        """The known word that may follow in a compound, with its accents."""
        if text in self.nouns:
            return text
        restored = self.restore.get(self.skeleton(text))
        return restored if restored is not None and restored in self.nouns else None

    def split(self, index: int, seam: int, position: int) -> None:
        """Divides a word in two; marks from `position` on move by a word."""
        word = self.words[index]
        left, right = word.text[:seam], word.text[seam:]
        middle = _share(self.original, word, len(left.encode()))
        right = self.noun(right) or right
        self.words[index : index + 1] = [Word(left, word.start, middle), Word(right, middle, word.end)]
        self.texts[index : index + 1] = [left, right]
        self.skeletons[index : index + 1] = [self.skeleton(left), self.skeleton(right)]
        for later in range(position, len(self.marks)):
            mark = self.marks[later]
            self.marks[later] = Mark(mark.kind, mark.first + 1, mark.end + 1, mark.value, mark.parts, mark.is_quantity)

    # Pass 3

    def mark_misspelt(self) -> None:
        marks, texts = self.marks, self.texts
        unknown = [text not in self.known for text in texts]
        for mark in marks:
            unknown[mark.first : mark.end] = [False] * (mark.end - mark.first)
        if True not in unknown:
            return
        index, position = 0, 0
        while index < len(texts):
            if position < len(marks) and marks[position].first == index:
                index = marks[position].end
                position += 1
                continue
            limit = marks[position].first if position < len(marks) else len(texts)
            found = self.misspelt(index, limit, unknown)
            if found is None:
                index += 1
                continue
            marks.insert(position, found)
            position += 1
            index = found.end

    def misspelt(self, index: int, limit: int, unknown: Sequence[bool]) -> Mark | None:
        """The name that needs the fewest edits; of equals the longest span, then the earliest entry."""
        limit = min(limit, index + MAX_SPAN_WORDS)
        if True not in unknown[index:limit]:
            return None
        first = self.skeletons[index][:1]
        best: tuple[int, int, int, int] | None = None
        found: Mark | None = None
        for rank, layer in enumerate(self.layers):
            if first not in layer.first_letters:
                continue
            candidates = layer.for_typos
            joined = ""
            for end in range(index + 1, limit + 1):
                joined = self.inflection.joined(joined, self.skeletons[end - 1])
                length = len(joined)
                if length > layer.longest + 2:
                    break
                if True not in unknown[index:end]:
                    continue
                letters, digits = -1, ""
                for name_length in range(length - 2, length + 3):
                    max_edits = 1 if name_length < LONG_NAME_LETTERS else 2
                    if (first, name_length) not in candidates or abs(name_length - length) > max_edits:
                        continue
                    if letters < 0:
                        letters, digits = letters_of(joined), digits_of(joined)
                    for order, name, entry in candidates[first, name_length]:
                        # An edit changes at most two letters of the set.
                        if (name.letters ^ letters).bit_count() > 2 * max_edits or name.digits != digits:
                            continue
                        edits = self.edits(index, end, joined, name, max_edits, unknown)
                        if edits > max_edits:
                            continue
                        key = (edits, index - end, rank, order)
                        if best is None or key < best:
                            best = key
                            found = Mark(entry.kind, index, end, entry.value)
        return found

    def edits(self, index: int, end: int, joined: str, name: Name, max_edits: int, unknown: Sequence[bool]) -> int:
        """Edits between a span and a name, or more than `max_edits`.

        Word by word where there are equally many: only unknown words can be misspelt, and short words cannot.
        Otherwise written together, which needs words that are all unknown and a name without short words.
        """
        if len(name.words) != end - index:
            if False in unknown[index:end] or min(map(len, name.skeletons)) < MIN_TYPO_LETTERS:
                return max_edits + 1
            return edit_distance(joined, name.skeleton)
        edits = 0
        for position, expected in enumerate(name.skeletons, index):
            said = self.skeletons[position]
            if said == expected:
                continue
            if not unknown[position] or len(expected) < MIN_TYPO_LETTERS or said[:1] != expected[0]:
                return max_edits + 1
            edits += edit_distance(said, expected)
            if edits > max_edits:
                return edits
        return edits


@lru_cache(1 << 12)
def _places(text: str) -> Mapping[str, int]:
    """Where each letter is, as a set of bits."""
    places: dict[str, int] = {}
    for index, letter in enumerate(text):
        places[letter] = places.get(letter, 0) | 1 << index
    return places


def edit_distance(left: str, right: str) -> int:
    """Letters to insert, delete, replace or swap with their neighbour, each letter once.

    A column of the table of distances at a time, as bits: where a distance is one above or below that of its
    neighbours (Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", 2003).
    """
    if not left:
        return len(right)
    places = _places(left)
    every, last = (1 << len(left)) - 1, 1 << (len(left) - 1)
    higher, lower, diagonal, before = every, 0, 0, 0  # vertical differences +1 and −1; diagonals that stay; last letter
    distance = len(left)
    for letter in right:
        at = places.get(letter, 0)
        swapped = ((~diagonal & at) << 1) & before
        diagonal = (((at & higher) + higher) ^ higher) | at | lower | swapped
        rising = lower | ~(diagonal | higher)
        falling = diagonal & higher
        if rising & last:
            distance += 1
        elif falling & last:
            distance -= 1
        rising = rising << 1 | 1
        higher = (falling << 1 | ~(diagonal | rising)) & every
        lower = rising & diagonal & every
        before = at
    return distance


def _share(original: str, word: Word, length: int) -> int:
    """Where the first `length` bytes of a word end in the original, which other accents may make longer or shorter.

    Their share of the word's bytes, moved back to the beginning of a character.
    """
    data = original.encode()
    middle = word.start + (word.end - word.start) * length // len(word.text.encode())
    while middle > word.start and data[middle] & 0xC0 == 0x80:
        middle -= 1
    return middle
