"""A grammar of answers in text: a deterministic automaton over bytes, and which tokens it allows.

The twin of `firmware_templates/runtime/thimble_grammar.c`. A token may follow where the automaton takes all its bytes,
the end where the text so far is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

__all__ = ["DEAD", "START", "Grammar", "GrammarWalk"]

DEAD, START = 0, 1


@dataclass(frozen=True)
class Grammar:
    """The automaton.

    Attributes:
        classes: of each byte, [256]; bytes of one class are never told apart.
        next: by state and class the next state, `DEAD` where nothing may follow; a row of `DEAD` for `DEAD` first.
        accepts: states in which a text is whole.
        source: the file that it was made of.
    """

    classes: Sequence[int]
    next: Sequence[Sequence[int]]
    accepts: frozenset[int]
    source: str = ""

    def after(self, state: int, text: bytes) -> int:
        """The state after some bytes."""
        for byte in text:
            state = self.next[state][self.classes[byte]]
        return state

    def reads(self, text: bytes) -> bool:
        """Whether a text is whole."""
        return self.after(START, text) in self.accepts


@dataclass
class GrammarWalk:
    """Which tokens may follow.

    Attributes:
        grammar: of the answer.
        pieces: the bytes of each id; those without any, as of ids that frame a prompt, never follow.
        stops: ids that end an answer.
        bare_start: id behind which a piece loses a space at its beginning; −1: none.
    """

    grammar: Grammar
    pieces: Sequence[bytes]
    stops: frozenset[int]
    bare_start: int = -1
    _allowed: dict[tuple[int, bool], list[int]] = field(default_factory=dict)

    @cached_property
    def _bare(self) -> Sequence[bytes]:
        return [piece[1:] if piece[:1] == b" " else piece for piece in self.pieces]

    def allowed(self, before: int, answer: Sequence[int]) -> list[int]:
        """The ids that may follow, ascending.

        Args:
            before: the last id of the prompt.
            answer: ids, each allowed after those before it.
        """
        state = START
        for index, token in enumerate(answer):
            state = self.grammar.after(state, self._piece(token, not index and before == self.bare_start))
        is_bare = not answer and before == self.bare_start
        if (state, is_bare) not in self._allowed:
            pieces = self._bare if is_bare else self.pieces
            self._allowed[state, is_bare] = [
                token for token, piece in enumerate(pieces) if self._may_follow(state, token, piece)
            ]
        return self._allowed[state, is_bare]

    def _piece(self, token: int, is_bare: bool) -> bytes:
        return (self._bare if is_bare else self.pieces)[token]

    def _may_follow(self, state: int, token: int, piece: bytes) -> bool:
        if token in self.stops:
            return state in self.grammar.accepts
        return bool(piece) and self.grammar.after(state, piece) != DEAD
