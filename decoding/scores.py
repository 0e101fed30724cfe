"""How sure the model was: the log-probabilities of a completion, as a whole and by the arguments in it."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, zip_longest

from schematune.decoding.grammar import Grammar
from schematune.decoding.rows import Choice, Decoded
from schematune.decoding.watch import Watch
from schematune.schemas.call import Score

__all__ = ["score_of", "scores_of"]


def score_of(decoded: Decoded) -> Score:
    """Return the score of a whole completion, the choice to end it included."""
    return _score(decoded.choices, range(len(decoded.tokens) + 1), len(decoded.tokens))


def scores_of(decoded: Decoded, grammar: Grammar) -> tuple[Mapping[str, Score], ...]:
    """Return the scores of each call's arguments by name, in the order of the calls.

    A token that belongs to two arguments, as `","` may, counts for the later one: choosing it began that.
    """
    if not grammar.schemas:
        return ()
    pieces = [grammar.bytes_of([token]) for token in decoded.tokens]
    ends = list(accumulate(map(len, pieces)))
    watch = Watch(grammar.checks)
    watch.restart(b"".join(pieces))
    found = [
        (call, str(path[0]), bisect_right(ends, start), bisect_left(ends, end) + 1)
        for (call, path, _), (start, end) in zip(watch.news, watch.spans, strict=True)
        if len(path) == 1 and call < watch.complete
    ]
    scores: tuple[dict[str, Score], ...] = tuple({} for _ in range(watch.complete))
    for (call, name, begin, stop), following in zip_longest(found, found[1:]):
        stop = stop if following is None else min(stop, following[2])
        scores[call][name] = _score(decoded.choices, range(begin, stop), max(0, stop - begin))
    return scores


def _score(choices: Sequence[Choice], places: range, tokens: int) -> Score:
    """Return the score of the choices at these places, among which `tokens` tokens stand."""
    logs = [(log, left) for place, log, left in choices if place in places]
    chosen = {place for place, _, _ in choices if place in places}
    given = tokens - len(chosen & set(range(places.start, places.start + tokens)))
    return Score(sum(log for log, _ in logs), sum(left for _, left in logs), len(logs), given)
