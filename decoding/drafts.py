"""Drafts: what a row would go on with if it copied its prompt further, or wrote what others wrote there.

An argument is mostly copied from the request, so after its first word the prompt says what probably comes next;
and between the arguments stand the names and signs that calls of the same tools had before. A draft is read by
the model together with the token before it, in one pass, and kept as far as the model would have chosen it: the
output stays the same, in fewer passes. Source: prompt lookup (Yang et al., "Inference with Reference",
arXiv:2304.04487) as the drafting step of speculative decoding (Leviathan et al., arXiv:2211.17192).
"""

from collections import Counter, defaultdict
from collections.abc import Container, Sequence

from transformers import PreTrainedTokenizerBase

__all__ = ["LONGEST", "Drafts", "Habits"]

LONGEST = 8
"""Tokens in a draft."""

_WINDOW = 1024
_REQUEST = 128
_CONTEXT = 4
_MOST_CONTEXTS = 20_000
_START = -1
_SUFFIX = 4
_SPACES = "\u0120\u2581 "


class Habits:
    """What completions so far went on with, apart from the words of their requests.

    >>> habits = Habits()
    >>> habits.learn([1, 2, 77, 3, 4], said={77})
    >>> habits([], said=()), habits([1, 2, 88], said={88})
    ([1, 2, 3, 4], [3, 4])
    """

    def __init__(self) -> None:
        """Start without any."""
        self._next: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)

    def learn(self, tokens: Sequence[int], said: Container[int]) -> None:
        """Take in a completion; the tokens in `said` are its request's own."""
        if len(self._next) > _MOST_CONTEXTS:
            self._next.clear()
        before = [_START]
        for token in tokens:
            if token not in said:
                for length in range(1, min(_CONTEXT, len(before)) + 1):
                    self._next[tuple(before[-length:])][token] += 1
                before.append(token)

    def __call__(self, tokens: Sequence[int], said: Container[int]) -> list[int]:
        """Return how a completion that begins with `tokens` probably goes on, up to the next word of a request."""
        before = [_START, *(token for token in tokens if token not in said)]
        ahead: list[int] = []
        while len(ahead) < LONGEST:
            lengths = range(min(_CONTEXT, len(before)), 0, -1)
            known = next((self._next[key] for n in lengths if (key := tuple(before[-n:])) in self._next), None)
            if known is None:
                break
            ahead.append(known.most_common(1)[0][0])
            before.append(ahead[-1])
        return ahead


class Drafts:
    """Proposes, for the tokens of one row so far, how its prompt would go on.

    `prompt` is the row's prompt as token ids, of which the last thousand are looked at; `said` are those of about
    the request.

    >>> class Words:
    ...     def convert_ids_to_tokens(self, ids):
    ...         words = {1: "play", 2: "\u0120Blue", 3: "\u0120Moon", 4: "Blue", 5: "now"}
    ...         return [words[i] for i in ids] if isinstance(ids, list) else words[ids]
    >>> Drafts(Words(), [1, 2, 3, 5])([9, 4])
    [3, 5]
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int]) -> None:
        """See the class."""
        self.tokenizer = tokenizer
        self.prompt = list(prompt[-_WINDOW:])
        self.said = frozenset(self.prompt[-_REQUEST:])
        self.words = [_bare(word) for word in tokenizer.convert_ids_to_tokens(self.prompt)]
        self.places: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(self.words):
            self.places[word].append(place)

    def __call__(self, tokens: Sequence[int]) -> list[int]:
        """Return the prompt's tokens after the place that `tokens` repeat longest, the latest of such places.

        The last token is compared without its leading space: a word inside a string begins without the one that
        it has in a sentence.
        """
        last = _bare(str(self.tokenizer.convert_ids_to_tokens(tokens[-1]))) if tokens else ""
        best, longest = -1, 0
        for place in reversed(self.places.get(last, ())):
            length = 1
            while length < min(_SUFFIX, place + 1, len(tokens)) and self.prompt[place - length] == tokens[-1 - length]:
                length += 1
            if length > longest:
                best, longest = place, length
        return self.prompt[best + 1 : best + 1 + LONGEST] if best >= 0 else []


def _bare(word: str) -> str:
    return word.lstrip(_SPACES) or word
