"""Requests worded as people write, from a tool's own words and the values of one call.

A request is built of pieces; a piece that says a value knows which argument it says and by which rule, so
the evidence of every argument falls out of the wording instead of being looked for afterwards.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache

from schematune.schemas.described import form_of, unit_of
from schematune.schemas.flags import flag, switch
from schematune.schemas.frames import GETTERS, OWN, core, deed_of, plan, verb_and_thing
from schematune.schemas.grammar import MANY, can_be_opened, is_plural, opened, questions, singular, unarticled
from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import CHATTER, OPENERS, VERBS
from schematune.schemas.normal import resolve
from schematune.schemas.pieces import Piece
from schematune.schemas.realistic import concept, within
from schematune.schemas.roles import PHRASES, measured_as, role_of, spoken
from schematune.schemas.sayings import amount_sayings, sayings
from schematune.schemas.tool import Tool

__all__ = ["Worder", "typo"]


def _article(words: str) -> str:
    return ("an " if words[:1] in "aeiou" else "a ") + words


_SLIPPED = (
    ", no wait,",
    ", sorry,",
    ", i mean",
    ", actually",
    ", no,",
    ", make that",
    "... or rather",
    ", scratch that,",
    "- no,",
)
"""What stands between a value that was wrong and the one that is meant."""

_IS_OWN = ("it's {v} own", "as {v} own", "that is {v} own")

LED = "/led"
"""How the shapes end whose requests begin with an argument."""

_LEADS_ITSELF = re.compile(r"(in|at|on|around|this|next|tomorrow|today|tonight|later|right|the|by)\b", re.IGNORECASE)
"""How a time is said that needs no word before it."""

NATURAL = 0.6
"""Share of the requests that are built around what the tool acts on; the others say its name and its arguments'."""


class Worder:
    """Words the requests of one pair in one style.

    `today` makes relative dates possible (None: no context, dates are said in full); `lower` writes
    everything in lower case; `terse` prefers fragments. `slips` are values, by the argument's path, that the speaker
    says first and takes back.
    """

    def __init__(
        self, rng: random.Random, *, today: date | None = None, lower: bool = False, terse: bool = False
    ) -> None:
        """See the class."""
        self.rng, self.today, self.lower, self.terse = rng, today, lower, terse
        self.slips: dict[str, JSON] = {}

    def fit(self, schema: Mapping[str, JSON], value: JSON, root: JSON) -> JSON:
        """Return `value` as this style writes it: free strings in lower case where the style is."""
        if not self.lower:
            return value
        schema = resolve(schema, root)
        if isinstance(value, str):
            fixed = any(key in schema for key in ("enum", "const", "pattern")) or form_of(schema)
            return value if fixed else value.lower()
        if isinstance(value, list):
            return [self.fit(schema.get("items", {}), item, root) for item in value]
        if isinstance(value, dict):
            return {key: self.fit(schema.get("properties", {}).get(key, {}), item, root) for key, item in value.items()}
        return value

    def request(self, tool: Tool, arguments: Mapping[str, JSON], place: int = 0) -> tuple[list[Piece], str]:
        """Word one call of `tool`; returns the pieces and the name of the wording's shape."""
        root = tool.parameters
        schemas = {name: resolve(tool.properties.get(name, {}), root) for name in arguments}
        rest, crowded = list(arguments), self._crowded(tool)

        def said(name: str) -> list[Piece]:
            return self.phrase(name, schemas[name], arguments[name], f"{place}.{name}", root, bare=True)

        natural, led = self.rng.random() < NATURAL, self.rng.random() < 0.18  # drawn first, whatever the values are
        if natural:
            pieces, told, shape = core(plan(tool), rest, said, self.rng)
            rest = [name for name in rest if name not in told]
        else:
            shape, intent = self.intent(tool)
            pieces = [Piece(intent)]
        phrases = [
            self.phrase(name, schemas[name], arguments[name], f"{place}.{name}", root, named=name in crowded)
            for name in rest
        ]
        phrases = self._neighbours(rest, phrases, said)
        self.rng.shuffle(phrases)
        return self._around(pieces, phrases, f"{shape}{LED if led and phrases else ''}", place)

    def _neighbours(
        self, names: Sequence[str], phrases: list[list[Piece]], said: Callable[[str], list[Piece]]
    ) -> list[list[Piece]]:
        """Say a place and the larger one that it is in as one phrase, mostly: "in Salem, Oregon"."""
        for small, large in (("city", "province"), ("landmark", "city"), ("city", "country"), ("province", "country")):
            inner = next((n for n in names if concept(n) == small), None)
            outer = next((n for n in names if concept(n) == large), None)
            if inner and outer and self.rng.random() < 0.6:
                joint = Piece(self.rng.choice((",", "", "in", ",", ", in", "of")))
                joined = [*phrases[names.index(inner)], joint, *said(outer)]
                return [joined if n == inner else p for n, p in zip(names, phrases, strict=True) if n != outer]
        return phrases

    def _crowded(self, tool: Tool) -> set[str]:
        """Return the arguments that others of the same role could be taken for: these are mostly said by name."""
        names: dict[str, list[str]] = {}
        for name in tool.properties:
            names.setdefault(role_of(name, "string", ""), []).append(name)
        return {name for same in names.values() if len(same) > 1 for name in same}

    def _around(
        self, pieces: list[Piece], phrases: list[list[Piece]], shape: str, place: int
    ) -> tuple[list[Piece], str]:
        """Set the phrases around the middle of a request, and what people say before and after."""
        if shape.endswith(LED):
            pieces = [*_begun(phrases.pop()), Piece("," if self.rng.random() < 0.6 else "")] + pieces
        glue = self.rng.choice(("", "", "", ",", " and"))
        for number, phrase in enumerate(phrases):
            if glue and number and number == len(phrases) - 1:
                pieces.append(Piece(glue if glue == "," else "and"))
            pieces.extend(phrase)
        if shape.startswith("ask") and self.rng.random() < 0.7:
            pieces.append(Piece("?"))
        elif self.rng.random() < 0.25:
            pieces.append(
                Piece(self.rng.choice(("please", ", please", ", thanks", ". thanks!", "asap", "if possible", ".", "!")))
            )
        if place == 0 and self.rng.random() < 0.1:
            pieces.insert(0, Piece(self.rng.choice(CHATTER)))
        return pieces, shape

    def intent(self, tool: Tool) -> tuple[str, str]:
        """Return the shape's name and the words that say what the tool is wanted for."""
        verb, thing = verb_and_thing(tool.name, tool.description)
        many = is_plural(thing)
        whats = "what are" if many else "what's"
        clauses = _clauses(tool.description)
        rng = self.rng
        if self.terse and rng.random() < 0.7:
            return "terse", rng.choice((thing, thing, f"{verb} {thing}", f"new {thing}"))
        getter = verb in GETTERS
        roll = rng.random()
        if clauses and roll < 0.4:
            return self._opened("clause", _synonym(clauses, rng))
        if roll < 0.5:
            return "noun", rng.choice(
                (
                    f"{thing}",
                    f"i need {'some ' + thing if many else _article(thing)}",
                    f"i want the {thing}",
                    f"{thing} please:",
                    f"need {thing}",
                    f"about the {thing}:",
                )
            )
        if getter and roll < 0.8:
            return "ask", rng.choice(
                (f"what {'are' if many else 'is'} the {thing}", f"{whats} the {thing}", f"do you know the {thing}", f"any {thing}", f"show me the {thing}",
                 f"i'm looking for {thing}", f"tell me the {thing}", f"how about {thing}", f"which {thing}", f"i'd like to know the {thing}")
            )  # fmt: skip
        said = questions(rng.choice(VERBS.get(verb, (verb,))), many)
        joint = rng.choice(MANY if many else ("the", "a", "", "my", "this", ""))
        joint = "an" if joint == "a" and thing[:1] in "aeiou" else joint
        return self._opened("command", " ".join(f"{said} {joint} {thing}".split()))

    def _opened(self, shape: str, command: str) -> tuple[str, str]:
        if self.rng.random() < 0.5 or not can_be_opened(command):
            return shape, command
        return f"{shape}/opened", f"{opened(self.rng.choice(OPENERS), command)} {command}"

    def argument(self, tool: Tool, name: str, value: JSON) -> list[Piece]:
        """Word one argument of the first call on its own, as an answer says it."""
        root = tool.parameters
        bare = self.rng.random() < 0.5
        return _begun(
            self.phrase(name, resolve(tool.properties.get(name, {}), root), value, f"0.{name}", root, bare=bare)
        )

    def phrase(
        self,
        name: str,
        schema: Mapping[str, JSON],
        value: JSON,
        path: str,
        root: JSON,
        *,
        bare: bool = False,
        named: bool = False,
    ) -> list[Piece]:
        """Word one argument: its value, and words that say which argument it is.

        `bare`: its value alone. `named`: mostly with its name, as other arguments could be meant.
        """
        on = flag(value, schema)
        if on is not None:
            return [Piece(switch(name, on, schema, self.rng), (path,), "said")]
        if isinstance(value, dict):
            return self._members(name, schema, value, path, root)
        form, unit = form_of(schema), unit_of(name, schema)
        items = resolve(schema.get("items", {}), root) if isinstance(value, list) else {}
        kind = "enum" if "enum" in schema or "enum" in items else "array" if isinstance(value, list) else _kind(value)
        role = role_of(name, kind, form)
        said = (
            self._list(name, items, value, path, root)
            if isinstance(value, list)
            else [*self._slip(schema, name, path), self._say(schema, name, value, path)]
        )
        if unit and kind in ("integer", "number") and not re.fullmatch(r"[\d.,]+", said[-1].text):
            role, name = measured_as(name, unit)
        if role in ("date", "begin") and re.match(r"(to|tmr|next|this|in |the )|.*day$", said[0].text, re.IGNORECASE):
            role = "day" if role == "date" else role
        if bare:
            return self._quoted(role, said)
        ways = ("{v}",) if role in ("time", "moment") and _LEADS_ITSELF.match(said[-1].text) else PHRASES[role]
        if named and name and self.rng.random() < 0.7:
            ways = tuple(way for way in ways if "{n}" in way) or ways
        ways = _IS_OWN if role == "owner" and said[-1].text.lower() in OWN else ways
        ways = ways if name else tuple(way for way in ways if "{n}" not in way) or ("{v}",)
        template = "{v}" if self.terse and not named and self.rng.random() < 0.6 else self.rng.choice(ways)
        label = singular(spoken(name)) if value == 1 and role == "count" else spoken(name)
        before, after = template.replace("{n}", label).split("{v}")
        before = unarticled(before.strip(), said[0].text)
        return [Piece(before), *self._quoted(role, said), Piece(after.strip())]

    def _quoted(self, role: str, said: list[Piece]) -> list[Piece]:
        if role in ("text", "title", "query") and len(said) == 1 and self.rng.random() < 0.2:
            mark = self.rng.choice('""\'')
            return [Piece(mark), replace(said[0], glued=True), Piece(mark, glued=True)]
        return said

    def _slip(self, schema: Mapping[str, JSON], name: str, path: str) -> list[Piece]:
        """Say what the speaker takes back at once, where there is such a value."""
        if path not in self.slips:
            return []
        wrong = self._say(schema, name, self.slips[path], path)
        return [Piece(wrong.text), Piece(self.rng.choice(_SLIPPED))]

    def _say(self, schema: Mapping[str, JSON], name: str, value: JSON, path: str) -> Piece:
        ways = sayings(schema, name, value, self.today)
        text = self.rng.choice(ways) if ways else str(value).lower() if value is None else str(value)
        if self.lower:
            text = text.lower()
        rule = "span" if text == value else "context" if self._relative(schema, text) else "said"
        return Piece(text, (path,), rule)

    def _relative(self, schema: Mapping[str, JSON], text: str) -> bool:
        return self.today is not None and form_of(schema).startswith("date") and str(self.today.year) not in text

    def _list(
        self, name: str, items: Mapping[str, JSON], value: list[JSON], path: str, root: JSON, *, inner: bool = False
    ) -> list[Piece]:
        """Say the elements of a list; those of one `inner` to it are kept apart by commas alone, the lists by semicolons."""
        between = ";" if any(isinstance(item, list) for item in value) else ","
        last = (
            between
            if inner or between == ";"
            else self.rng.choice(("and", "and", "and", ",", "plus", "&", "or" if "enum" in items else "and"))
        )
        pieces: list[Piece] = []
        for place, item in enumerate(value):
            if place:
                pieces.append(Piece(last if place == len(value) - 1 else between))
            if isinstance(item, dict):
                pieces.extend(self._members(name, items, item, f"{path}.{place}", root))
            elif isinstance(item, list):
                parts = resolve(items.get("items", {}), root)
                pieces.extend(self._list(name, parts, item, f"{path}.{place}", root, inner=True))
            else:
                pieces.append(self._say(items, name, item, f"{path}.{place}"))
        return pieces or [Piece("none", (path,), "said")]

    def _members(
        self, name: str, schema: Mapping[str, JSON], value: Mapping[str, JSON], path: str, root: JSON
    ) -> list[Piece]:
        inner = schema.get("properties", {})
        if not value:
            return [Piece(f"with {spoken(name)}", (path,), "said")]
        money = _money(value)
        if money:
            number, currency = money
            text = self.rng.choice(amount_sayings(value[number], value[currency]))
            paths = (f"{path}.{number}", f"{path}.{currency}")
            return [Piece(self.rng.choice(("", "for", "of", spoken(name)))), Piece(text, paths, "said")]
        pieces = (
            []
            if self.rng.random() < 0.4
            else [Piece(self.rng.choice((spoken(name), f"with {spoken(name)}", f"{spoken(name)}:")))]
        )
        for key, item in value.items():
            whole, part = within(name, key), resolve(inner.get(key, {}), root)
            bare = bool(pieces) and key in ("name", "title")
            pieces.extend(self.phrase(whole, part, item, f"{path}.{key}", root, bare=bare))
        return pieces


def _begun(pieces: list[Piece]) -> list[Piece]:
    """Return pieces that begin what is said: without a sign that would join them to something before."""
    return [replace(pieces[0], text=pieces[0].text.lstrip(",: ")), *pieces[1:]] if not pieces[0].paths else pieces


def _kind(value: JSON) -> str:
    return "integer" if isinstance(value, int) else "number" if isinstance(value, float) else "string"


def _money(value: Mapping[str, JSON]) -> tuple[str, str] | None:
    if len(value) != 2:
        return None
    numbers = [k for k, v in value.items() if isinstance(v, int | float) and not isinstance(v, bool)]
    codes = [k for k, v in value.items() if isinstance(v, str) and re.fullmatch("[A-Z]{3}", v)]
    return (numbers[0], codes[0]) if numbers and codes else None


_CUT = re.compile(
    r"\s+(?:for|in|of the user|with|by|on|from|based|given|using|, |or|and|at|that|which|within|inside|as|to)\s.*$"
)


@lru_cache(maxsize=65536)
def _clauses(description: str) -> tuple[str, ...]:
    first = re.split(r"[.;:(\n]", description.strip())[0].strip().rstrip(",")
    words = first.split()
    if not 2 <= len(words) <= 16:
        return ()
    verb = deed_of(description) or words[0].lower()
    if verb not in VERBS and verb not in ("put", "take", "enter", "give", "hand", "do", "use", "ask", "tell", "call"):
        return ()
    whole = (
        " ".join([verb, *words[1:]])
        .replace("the user's", "my")
        .replace("the user", "me")
        .replace("a given", "a")
        .replace("specified", "")
    )
    short = _CUT.sub("", whole)
    middle = whole.split(",")[0]
    return tuple(dict.fromkeys(c for c in (short, short, middle, whole) if len(c.split()) > 1))


def _synonym(clauses: Sequence[str], rng: random.Random) -> str:
    clause = rng.choice(clauses)
    verb, _, rest = clause.partition(" ")
    if verb in VERBS and rng.random() < 0.5:
        verb = rng.choice(VERBS[verb])
        verb = "make" if verb == "new" else verb
        rest = rest.removeprefix("for ") if verb not in ("search", "look") else rest
    return f"{verb} {rest}"


def typo(text: str, rng: random.Random) -> str:
    """Return `text` with one slip of the keyboard in it: a letter swapped, dropped, doubled or missed.

    >>> typo("appointment", random.Random(3)) != "appointment"
    True
    """
    places = [m.start() for m in re.finditer(r"(?<=[a-z])[a-z](?=[a-z])", text)]
    if not places:
        return text
    place = rng.choice(places)
    slips = (
        text[:place] + text[place + 1] + text[place] + text[place + 2 :],
        text[:place] + text[place + 1 :],
        text[:place] + text[place] + text[place:],
        text[:place] + rng.choice("aeiorstn") + text[place + 1 :],
    )
    return next((slip for slip in rng.sample(slips, 4) if slip != text), text)
