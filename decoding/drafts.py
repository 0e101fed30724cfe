"""Drafts: what a row would go on with if it went on copying its prompt.

An argument is mostly copied from the request, so after its first word the prompt says what probably comes next.
A draft is read by the model together with the token before it, in one pass, and kept as far as the model would
have chosen it: the output stays the same, in fewer passes. Source: prompt lookup (Yang et al., "Inference with
Reference", arXiv:2304.04487) as the drafting step of speculative decoding (Leviathan et al., arXiv:2211.17192).
"""

from collections import defaultdict
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

__all__ = ["LONGEST", "Drafts"]

LONGEST = 8
"""Tokens in a draft."""

_WINDOW = 1024
_SUFFIX = 4
_SPACES = "\u0120\u2581 "


class Drafts:
    """Proposes, for the tokens of one row so far, how its prompt would go on.

    `prompt` is the row's prompt as token ids, of which the last thousand are looked at.

    >>> class Words:
    ...     def convert_ids_to_tokens(self, ids):
    ...         return [{1: "play", 2: "\u0120Blue", 3: "\u0120Moon", 4: "Blue", 5: "now"}[i] for i in ids]
    >>> Drafts(Words(), [1, 2, 3, 5])([9, 4], "Blue")
    [3, 5]
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int]) -> None:
        """See the class."""
        self.prompt = list(prompt[-_WINDOW:])
        self.words = [_bare(word) for word in tokenizer.convert_ids_to_tokens(self.prompt)]
        self.places: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(self.words):
            self.places[word].append(place)

    def __call__(self, tokens: Sequence[int], last: str) -> list[int]:
        """Return the prompt's tokens after the place that `tokens` repeat longest, the latest of such places.

        `last` is the last token's own text, which is compared without its leading space: a word inside a
        string begins without the one that it has in a sentence.
        """
        best, longest = -1, 0
        for place in reversed(self.places.get(_bare(last), ())):
            length = 1
            while length < min(_SUFFIX, place + 1, len(tokens)) and self.prompt[place - length] == tokens[-1 - length]:
                length += 1
            if length > longest:
                best, longest = place, length
        return self.prompt[best + 1 : best + 1 + LONGEST] if best >= 0 else []


def _bare(word: str) -> str:
    return word.lstrip(_SPACES) or word
