"""How people build a request: around a verb and what it acts on, which is mostly one of the arguments.

A tool's name says what is done (`verb`), to what (`thing`) and at times where it goes (`joint` and `goal`: "add to
basket"). Among its arguments one names the thing itself ("play Thriller"), one says what kind of thing it is ("a
bistro" for "a restaurant"), some stand before it ("the cheapest flight"), one names the goal. `core` builds the
middle of a request out of these; all other arguments are phrases of their own beside it (`schematune.schemas.wording`).
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from schematune.schemas.described import form_of
from schematune.schemas.grammar import MANY, ONE, article, can_be_opened, is_plural, opened, questions
from schematune.schemas.lexicon import ALSO_CALLED, OPENERS, VERBS, words_of
from schematune.schemas.pieces import Piece
from schematune.schemas.realistic import concept
from schematune.schemas.roles import is_kind
from schematune.schemas.tool import Tool

__all__ = ["GETTERS", "OWN", "Plan", "core", "deed_of", "plan", "plan_of"]

GETTERS = {"get", "find", "search", "list", "show", "check", "fetch", "retrieve", "track", "calculate", "compute", "lookup", "query", "read", "locate", "discover", "provide", "explore", "recommend", "suggest"}  # fmt: skip
"""Verbs of tools that tell something."""

OWN = ("my", "our")
"""How owners say that they are the ones."""

_JOINTS = {"to", "from", "in", "into", "on", "onto", "for", "at", "by", "with", "of"}
_FORE = {"manner", "quality", "color", "language", "warmth", "company", "kind"}
"""Concepts whose words stand before what they are about."""


@dataclass(frozen=True)
class Plan:
    """What a tool does, in words, and which of its arguments names what (None, or none: it has no such one)."""

    verb: str
    thing: str
    joint: str = ""
    goal: str = ""
    object: str | None = None
    kind: str | None = None
    target: str | None = None
    before: tuple[str, ...] = ()
    measure: tuple[str, ...] = ()
    owner: str | None = None

    @property
    def likely(self) -> dict[str, float]:
        """How often people say an argument although they need not: a request without what it is about is rare."""
        shares = [(self.kind, 0.6), (self.object, 0.7), (self.target, 0.8)]
        shares += [*((name, 0.8) for name in self.measure[:2]), *((name, 0.5) for name in self.measure[2:])]
        return {name: share for name, share in shares if name}


@lru_cache(maxsize=4096)
def plan_of(name: str, free: tuple[str, ...], numbers: tuple[str, ...] = (), description: str = "") -> Plan:
    """Read a tool by its words and its arguments: `free` are those that take any text, `numbers` those of numbers.

    >>> plan = plan_of("AddToBasket", ("item_name", "basket", "item_type"))
    >>> plan.verb, plan.joint, plan.goal, plan.object, plan.kind, plan.target
    ('add', 'to', 'basket', 'item_name', 'item_type', 'basket')
    """
    verb, thing = verb_and_thing(name, description)
    words = thing.split()
    place = next((n for n, word in enumerate(words) if word in _JOINTS and n + 1 < len(words)), len(words))
    thing, joint, goal = " ".join(words[:place]), "".join(words[place : place + 1]), " ".join(words[place + 1 :])
    kinds = sorted((n for n in free if is_kind(n, free)), key=lambda n: len(words_of(n)))
    target = next((n for n in free if goal and _about(n) & set(goal.split())), None)
    ranked = sorted((_rank(n, thing), free.index(n), n) for n in free if n != target and n not in kinds)
    found = ranked[0][2] if ranked and ranked[0][0] < 9 else None
    near = set(thing.split()) | (_about(found) if found else set())
    kind = next((n for n in kinds if _about(n) & near), kinds[0] if kinds and found else None)
    before = tuple(n for n in free if concept(n) in _FORE and n not in (found, kind, target))
    owner = next((n for n in free if words_of(n)[-1] == "owner" and _about(n) & {*goal.split(), *thing.split()}), None)
    return Plan(verb, thing, joint, goal, found, kind, target, before, _measure(free, numbers), owner)


def plan(tool: Tool) -> Plan:
    """Read how people ask for a tool: what it does, to what, and which of its arguments say that."""
    free, numbers = [], []
    for name, schema in tool.properties.items():
        kind = schema.get("type") if isinstance(schema, dict) else None
        if kind == "string" and not any(key in schema for key in ("enum", "const", "pattern")) and not form_of(schema):
            free.append(name)
        elif kind in ("integer", "number"):
            numbers.append(name)
    return plan_of(tool.name, tuple(free), tuple(numbers), tool.description)


@lru_cache(maxsize=16384)
def verb_and_thing(name: str, description: str = "") -> tuple[str, str]:
    """Split a tool's name into what it does and to what; where the name leaves it open, the description tells.

    >>> verb_and_thing("getWeather"), verb_and_thing("flight_book"), verb_and_thing("weather")
    (('get', 'weather'), ('book', 'flight'), ('get', 'weather'))
    >>> verb_and_thing("tide_rate", "Shows the rate of today."), verb_and_thing("lendBook", "Lend a book.")
    (('show', 'tide rate'), ('lend', 'book'))
    """
    words = words_of(name.rsplit(".", 1)[-1]) or ["use"]
    first, deed = _lemmas(description), deed_of(description)
    if len(words) > 1 and (words[0] in VERBS or words[0] in first):
        return words[0], " ".join(words[1:])
    if deed in words[1:-1]:  # what stands before says whose tool it is
        return deed, " ".join(words[words.index(deed) + 1 :])
    if len(words) > 1 and words[-1] in VERBS and (not deed or deed == words[-1]):
        return words[-1], " ".join(words[:-1])
    if deed and len(words) > 1 and words[0] in ("post", "put", "patch"):  # what HTTP does says less
        return deed, " ".join(words[1:])
    return (words[0] if words[0] in VERBS else deed or "get"), " ".join(words)


def _lemmas(description: str) -> tuple[str, ...]:
    """Return what the first word of a description may be a form of."""
    first = re.match(r"\s*([A-Za-z]+)", description)
    word = first[1].lower() if first else ""
    endings = (("", ""), ("s", ""), ("es", ""), ("ies", "y"))
    return tuple(word[: len(word) - len(end)] + new for end, new in endings if word and word.endswith(end))


@lru_cache(maxsize=16384)
def deed_of(description: str) -> str:
    """Return the verb that a description begins with, as tools are described; empty where it begins otherwise.

    >>> deed_of("Searches for songs."), deed_of("An invoice."), deed_of("Returns the time of day.")
    ('search', '', 'get')
    """
    found = next((word for word in _lemmas(description) if word in VERBS), "")
    return "get" if found == "return" and re.match(r"\s*returns\b", description, re.IGNORECASE) else found


def _about(name: str) -> set[str]:
    """Return the words of an argument's name that say what it is about."""
    return set(words_of(name)) - {"name", "title", "type", "kind", "category", "the", "id", "label"}


def _rank(name: str, thing: str) -> int:
    """Tell how likely an argument names what the tool acts on: 0 the most, 9 not at all."""
    about, words = _about(name), set(thing.split())
    if concept(name) not in (
        "title",
        "thing",
        "query",
        "file",
        "path",
        "folder",
        "company",
        "place",
        "person",
        "maker",
    ):
        return 9
    if about & words and words_of(name)[-1] in ("name", "title"):
        return 0
    if about and about <= words:
        return 1
    if concept(name) in ("title", "file", "path", "folder", "query"):
        return 2 if words_of(name)[-1] in ("name", "title") else 3
    return 9


def _measure(free: Sequence[str], numbers: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments that are said as one measure: a number, its unit, and what it is out of."""
    units = [n for n in free if concept(n) == "unit"]
    counts = [n for n in (*free, *numbers) if concept(n) == "tally" and not _most(n)]
    tops = [n for n in (*free, *numbers) if _most(n) and concept(n) == "tally"]
    near = next(((c, u) for u in units for c in counts if _shared(c, u)), None)
    if near is None:
        return ()
    top = next((n for n in tops if _shared(n, near[0])), "")
    return (*near, top) if top else near


def _most(name: str) -> bool:
    return bool({"best", "max", "maximum", "top", "highest", "scale", "total"} & set(words_of(name)))


def _shared(one: str, two: str) -> bool:
    return bool(set(words_of(one)) & set(words_of(two)))


def core(
    plan: Plan, given: Sequence[str], say: Callable[[str], list[Piece]], rng: random.Random
) -> tuple[list[Piece], list[str], str]:
    """Build the middle of a request; returns its pieces, the arguments that it says, and the name of its shape.

    `given` are the arguments of the call; `say` returns the pieces that say an argument's value.

    >>> plan = plan_of("play_song", ("song_name",))
    >>> pieces, said, _ = core(plan, ["song_name"], lambda name: [Piece("Thriller", ("0.song_name",))], random.Random(5))
    >>> said, any(piece.text == "Thriller" for piece in pieces)
    (['song_name'], True)
    """
    made = _Made(plan, given, say, rng)
    phrase = made.noun_phrase()
    shape, whole = rng.choices((_command, _need, _question, _plain), _weights(plan))[0](plan, phrase, rng)
    if plan.measure and plan.measure[0] in given:
        shape, whole = made.measured(shape, whole, phrase)
    return [*whole, *made.goal()], made.said, f"{shape}/{made.shape}"


def _weights(plan: Plan) -> tuple[float, ...]:
    return (0.3, 0.25, 0.3, 0.15) if plan.verb in GETTERS else (0.6, 0.22, 0.02, 0.16)


class _Made:
    """The parts of one request, as they are made."""

    def __init__(self, plan: Plan, given: Sequence[str], say: Callable[[str], list[Piece]], rng: random.Random) -> None:
        self.plan, self.rng, self.say = plan, rng, say
        self.given, self.said, self.shape = list(given), list[str](), ""

    def value(self, name: str | None, share: float = 1.0) -> list[Piece]:
        """Say an argument where the call has it, in that share of the requests; otherwise no pieces."""
        if name is None or name not in self.given or name in self.said or self.rng.random() >= share:
            return []
        self.said.append(name)
        return self.say(name)

    def noun_phrase(self) -> list[Piece]:
        """Name what the tool acts on: a kind or the thing's own word, a name, and what stands before them."""
        rng, plan = self.rng, self.plan
        kind, named = self.value(plan.kind, 0.85), self.value(plan.object, 0.85)
        thing = rng.choice((plan.thing, plan.thing, *ALSO_CALLED.get(plan.thing, ())))
        head = kind or ([Piece(thing)] if thing and (not named or rng.random() < 0.4) else [])
        fore = [piece for name in plan.before if head for piece in self.value(name, 0.6)]
        self.shape = f"{'k' * bool(kind)}{'n' * bool(named)}{'b' * bool(fore)}"
        many = is_plural(thing) and not kind
        drawn = rng.choice(
            ("", "", "the", "these" if many and head else "this", "the") if named else MANY if many else ONE
        )
        if named and head:
            called = rng.choice(("", "", "", "called", "named", "titled"))
            called = "" if concept(plan.object or "") in ("path", "folder") else called
            order = [[*fore, *head, Piece(called), *named], [*named, *fore, *head]][rng.random() < 0.3]
        else:
            order = [*fore, *head, *named]
        drawn = drawn if head or rng.random() < 0.1 else ""
        return [Piece(article(drawn, next((piece.text for piece in order if piece.text), ""))), *order]

    def goal(self) -> list[Piece]:
        """Say where it goes: "to the basket", "to my Friday basket", "to a basket called Friday"."""
        plan, rng = self.plan, self.rng
        if not plan.goal:
            return []
        named, owner = self.value(plan.target), self.owner()
        drawn = rng.choice(("", "the", "a") if plan.owner else ("", "the", "my", "my", "our", "a"))
        before = owner or [Piece(article(drawn, plan.goal))]
        if not named:
            return [Piece(plan.joint), *before, Piece(plan.goal)]
        own = owner or [Piece(article(drawn, named[0].text))]
        ways: tuple[list[Piece], ...] = (
            [*owner, *named], [*own, *named, Piece(plan.goal)], [*own, *named], [*before, Piece(plan.goal), *named],
            [*before, Piece(plan.goal), Piece(rng.choice(("called", "named"))), *named],
        )  # fmt: skip
        return [Piece(plan.joint), *rng.choice(ways)]

    def owner(self) -> list[Piece]:
        """Say whose it is, before it: "my", "Anna's"."""
        said = self.value(self.plan.owner)
        return [*said, *([] if not said or said[-1].text.lower() in OWN else [Piece("'s", glued=True)])]

    def measured(self, shape: str, whole: list[Piece], phrase: list[Piece]) -> tuple[str, list[Piece]]:
        """Say a number with its unit: "4 stars out of 5"."""
        number, unit, *top = self.plan.measure
        count = [*self.value(number), *self.value(unit)]
        best = [piece for name in top for piece in self.value(name)]
        full = [*count, *([Piece(self.rng.choice(("out of", "of", "out of", "/"))), *best] if best else [])]
        roll = self.rng.random()
        if roll < 0.35:
            return "give", [Piece(self.rng.choice(("give", "i give", "i'd give", "let's give"))), *phrase, *full]
        if roll < 0.5:
            return "give", [Piece("give"), *full, Piece("to"), *phrase]
        if roll < 0.65:
            return "gets", [*phrase, Piece(self.rng.choice(("gets", "deserves", "is worth", "should get"))), *full]
        return shape, [*whole, *full]


def _command(plan: Plan, phrase: list[Piece], rng: random.Random) -> tuple[str, list[Piece]]:
    said = rng.choice(VERBS.get(plan.verb, (plan.verb,)))
    said = questions(said, is_plural(plan.thing))
    opener = opened(rng.choice(OPENERS), said) if rng.random() < 0.45 and can_be_opened(said) else ""
    return "does" + "/opened" * bool(opener), [Piece(opener), Piece(said), *phrase]


def _need(plan: Plan, phrase: list[Piece], rng: random.Random) -> tuple[str, list[Piece]]:
    return "needs", [Piece(rng.choice(_NEEDS)), *phrase]


def _question(plan: Plan, phrase: list[Piece], rng: random.Random) -> tuple[str, list[Piece]]:
    return "ask/about", [Piece(questions(rng.choice(_QUESTIONS), is_plural(plan.thing))), *phrase]


def _plain(plan: Plan, phrase: list[Piece], rng: random.Random) -> tuple[str, list[Piece]]:
    return "plain", phrase


_NEEDS = (
    "i need", "i want", "i'd like", "i would like", "we need", "we want", "i'm looking for", "i want to have", "i'd love",
    "looking for", "need", "want", "can i have", "can i get", "could i get", "get me", "give me", "i could use", "let me have",
    "i wish for", "we'd like", "i feel like", "how do i get", "time for", "let's have", "i wanna have",
)  # fmt: skip
_QUESTIONS = (
    "what is", "what's", "how is", "how's", "what about", "how about", "when is", "where is", "is there", "are there", "which is",
    "tell me about", "tell me", "show me", "do you know", "can you tell me", "can you show me", "where can i find", "let me see",
    "what will be", "what are", "i want to know", "i want to see", "i'd like to know", "any", "give me", "could you tell me",
    "where can i see", "when can i see", "will there be", "i'd like to see", "can i see", "do you have",
)  # fmt: skip
