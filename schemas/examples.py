"""A user's own examples multiplied: the values that can be traced in a request are swapped for others, and the
words around them put differently (`schematune.schemas.rephrase`).

An argument is traced where the request holds it literally, or holds one of its sayings (a date, a time, a
number, an enum's words). The new value is another example's, or drawn from the schema, and is said in the
same way. What cannot be traced stays as it is.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from schematune.schemas.agreement import borrowed_share
from schematune.schemas.call import RESERVED, Call
from schematune.schemas.crossover import Ending, crossed, ending_of
from schematune.schemas.jsontext import JSON
from schematune.schemas.normal import resolve
from schematune.schemas.pair import Evidence, Pair
from schematune.schemas.rephrase import Part, lead_of, rephrased
from schematune.schemas.sayings import sayings
from schematune.schemas.tool import ToolSet
from schematune.schemas.values import Sampler

__all__ = ["Multiplier", "trace"]

Path = tuple[str | int, ...]

JOINED = 0.1
"""Share of the pairs that are two examples in one request."""


CROSSED = 0.25
"""Share of the pairs that lose their last phrase or end with another example's."""


@dataclass(frozen=True)
class Slot:
    """A place in a request where an argument is said: offsets, the argument, and which saying it is.

    `also` are other arguments of the same call that the same words say (a first and a last day, say). What is not
    `free` keeps its value.
    """

    start: int
    end: int
    call: int
    path: Path
    way: int
    cased: bool
    also: tuple[Path, ...] = ()
    free: bool = True

    @property
    def paths(self) -> tuple[Path, ...]:
        """All arguments that the place says."""
        return (self.path, *self.also)


def _leaves(
    schema: Mapping[str, JSON], value: JSON, path: Path, root: JSON
) -> Iterator[tuple[Path, Mapping[str, JSON], JSON]]:
    schema = resolve(schema, root)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(schema.get("properties", {}).get(key, {}), item, (*path, key), root)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _leaves(schema.get("items", {}), item, (*path, place), root)
    else:
        yield path, schema, value


def _now(pair: Pair) -> datetime | None:
    try:
        return datetime.fromisoformat(pair.context["now"])
    except (KeyError, ValueError):
        return None


def _is_date(schema: Mapping[str, JSON]) -> bool:
    return str(schema.get("format", "")).startswith("date")


def _find(text: str, said: str, taken: list[tuple[int, int]]) -> tuple[int, int] | None:
    for match in re.finditer(rf"(?<!\w){re.escape(said)}(?!\w)", text, re.IGNORECASE):
        if all(match.end() <= start or match.start() >= end for start, end in taken):
            return match.span()
    return None


def trace(pair: Pair, tools: ToolSet) -> list[Slot]:
    """Find where each argument of a pair is said in its request; longer values are placed first.

    >>> tools = ToolSet({"name": "w", "parameters": {"properties": {"city": {"type": "string"}}}})
    >>> [(s.start, s.end, s.path) for s in trace(Pair.of("rain in Oslo?", [Call("w", {"city": "Oslo"})]), tools)]
    [(8, 12, ('city',))]
    """
    now, text = _now(pair), pair.request
    today = now.date() if now else None
    found: list[Slot] = []
    leaves = [
        (place, path, schema, value)
        for place, call in enumerate(pair.calls)
        if call.name in tools
        for path, schema, value in _leaves(
            tools[call.name].parameters, dict(call.arguments), (), tools[call.name].parameters
        )
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]
    values = {(place, path): value for place, path, _, value in leaves}
    for place, path, schema, value in sorted(leaves, key=lambda leaf: -len(str(leaf[3]))):
        ways = list(dict.fromkeys([*sayings(schema, str(path[-1]), value, today), str(value)]))
        taken = [(slot.start, slot.end) for slot in found]
        for said in sorted(ways, key=len, reverse=True):
            span = _find(text, said, taken) if said else None
            if span:
                found.append(Slot(*span, place, path, ways.index(said), text[slice(*span)] == said))
                break
        else:
            twins = [n for n, slot in enumerate(found) if slot.call == place and values[place, slot.path] == value]
            if twins and _measured(schema):
                found[twins[0]] = replace(found[twins[0]], also=(*found[twins[0]].also, path))
    return sorted(found, key=lambda slot: slot.start)


class Multiplier:
    """Makes new pairs from examples by swapping values and putting requests differently, for ever."""

    def __init__(self, examples: Iterable[Pair], tools: ToolSet, rng: random.Random) -> None:
        """`examples` fit `tools`."""
        self.tools, self.rng = tools, rng
        self.samplers = {tool.name: Sampler(rng, root=tool.parameters) for tool in tools}
        self.examples = [(pair, self._free(pair, trace(pair, tools))) for pair in examples]
        self.seen: dict[tuple[str, Path], list[JSON]] = defaultdict(list)
        self.leads: dict[tuple[str, Path], list[str]] = defaultdict(list)
        self.endings = [self._ending(pair, slots) for pair, slots in self.examples]
        self.alike: dict[str, list[int]] = defaultdict(list)
        for place, (pair, slots) in enumerate(self.examples):
            self.alike[pair.calls[0].name].append(place)
            for before, slot in zip([0, *(slot.end for slot in slots)], slots, strict=False):
                lead = lead_of(pair.request[before : slot.start])
                if lead is not None:
                    self.leads[pair.calls[slot.call].name, _general(slot.path)].append(lead)
                if slot.free:
                    value = _get(pair.calls[slot.call].arguments, slot.path)
                    self.seen[pair.calls[slot.call].name, _general(slot.path)].append(value)

    def pair(self) -> Pair | None:
        """Return an example with some values swapped, or two of them in one request; None where it failed."""
        place = self.rng.randrange(len(self.examples))
        moment = self._moment(place)
        if self.tools.parallel and self.rng.random() < JOINED:
            return self._joined(place, moment)
        if self.rng.random() < CROSSED:
            return self._crossed(place)
        return self._variant(*self.examples[place], moment)

    def _crossed(self, place: int) -> Pair | None:
        """Return an example without its last phrase, or with that of another one of the same tool."""
        pair, _ = self.examples[place]
        name = pair.calls[0].name
        if len(pair.calls) > 1 or name not in self.tools:
            return None
        other = self.rng.choice(self.alike[name])
        made = crossed(pair, self.endings[place], self.endings[other], self.tools[name].required, self.rng)
        slots = trace(made, self.tools) if made else []
        if made is None or len(slots) < len(dict(made.calls[0].arguments)):
            return None
        return self._variant(made, self._free(made, slots), _now(made))

    def _ending(self, pair: Pair, slots: list[Slot]) -> Ending | None:
        """Return the phrase that ends an example whose arguments can all be traced, texts and numbers alone."""
        if any(
            len(slot.path) > 1
            or slot.also
            or not slot.free
            or _is_date(self._schema(pair.calls[slot.call].name, slot.path))
            for slot in slots
        ):
            return None
        return ending_of(pair, [(slot.start, slot.end, str(slot.path[0])) for slot in slots])

    def _variant(self, pair: Pair, slots: list[Slot], moment: datetime | None) -> Pair | None:
        """Return an example at another moment, with some values swapped and put differently; None: it is the same."""
        made, changed = self._varied(pair, slots, moment)
        return made if changed else None

    def _varied(self, pair: Pair, slots: list[Slot], moment: datetime | None) -> tuple[Pair, bool]:
        today = moment.date() if moment else None
        arguments: list[JSON] = [deepcopy(dict(call.arguments)) for call in pair.calls]
        changed = bool(moment) and _now(pair) != moment
        parts, rules, end = [], [], 0
        ahead = len(pair.said) - len(pair.request)  # what was said in turns before
        for number, (slot, value) in enumerate(zip(slots, self._values(pair, slots, today), strict=True)):
            said, rule = pair.request[slot.start : slot.end], "said"
            if slot.free:
                said, rule = self._say(self._schema(pair.calls[slot.call].name, slot.path), slot, value, today)
            if rule == "span" and isinstance(value, str):
                value = said
            parts += [Part(pair.request[end : slot.start]), Part(said, number)]
            rules.append(rule)
            end = slot.end
            for path in slot.paths:
                _put(arguments[slot.call], path, value)
        parts = self._rephrased(pair, [part for part in (*parts, Part(pair.request[end:])) if part.text], slots)
        text, evidence = "", []
        for part in parts:
            spot = slots[part.slot] if part.slot >= 0 else None
            for path in spot.paths if spot else ():
                name = ".".join(map(str, (spot.call if spot else 0, *path)))
                evidence.append(Evidence(name, rules[part.slot], ahead + len(text), ahead + len(text) + len(part.text)))
            text += part.text
        changed |= text != pair.request
        calls = tuple(Call(call.name, new) for call, new in zip(pair.calls, arguments, strict=True))
        traced = {item.path for item in evidence}
        kept = [e for e in self._untraced(calls) if e.path not in traced]
        made = replace(
            pair,
            messages=_with_request(pair, text),
            calls=calls,
            context={**pair.context, "now": moment.isoformat(timespec="minutes")} if moment else pair.context,
            evidence=(*evidence, *kept),
            source=f"from {pair.source}",
            template=pair.source,
        )
        return made, changed

    def _rephrased(self, pair: Pair, parts: list[Part], slots: list[Slot]) -> list[Part]:
        """Put a request of one call differently."""
        names = [pair.calls[slot.call].name for slot in slots]
        leads = {
            n: self.leads[name, _general(slot.path)] for n, (name, slot) in enumerate(zip(names, slots, strict=True))
        }
        movable = [n for n, slot in enumerate(slots) if _is_moment(self._schema(names[n], slot.path))]
        if len(pair.calls) > 1:  # there the order of what is said is that of the calls
            movable = []
        return rephrased(parts, self.rng, leads={n: known for n, known in leads.items() if known}, movable=movable)

    def _values(self, pair: Pair, slots: list[Slot], today: date | None) -> list[JSON]:
        """Draw the values of the slots; a call's dates keep their order."""
        values = []
        dates: dict[int, list[int]] = defaultdict(list)
        for number, slot in enumerate(slots):
            name = pair.calls[slot.call].name
            schema, value = self._schema(name, slot.path), _get(pair.calls[slot.call].arguments, slot.path)
            dated = _is_date(schema) and slot.free
            if slot.free and (dated and today or self.rng.random() < 0.7):
                value = self._other(name, slot.path, schema, today)
            if dated:
                dates[slot.call].append(number)
            values.append(value)
        for places in dates.values():
            order = sorted(places, key=lambda n: _get(pair.calls[slots[n].call].arguments, slots[n].path))
            for number, value in zip(order, sorted(values[n] for n in places), strict=True):
                values[number] = value
        return values

    def _joined(self, place: int, moment: datetime | None) -> Pair | None:
        """Return two examples of one call each as one request, where both can be said at `moment`."""
        other = self.rng.randrange(len(self.examples))
        one, two = self.examples[place][0], self.examples[other][0]
        single = all(len(p.calls) == 1 and p.calls[0].name not in RESERVED and len(p.messages) == 1 for p in (one, two))
        if not single or (_now(two) is not None and (moment is None or not self._movable(other))):
            return None
        first, _ = self._varied(*self.examples[place], moment)
        second, _ = self._varied(*self.examples[other], moment)
        begin = first.request.rstrip(" .!") + self.rng.choice(
            (" and ", ", and ", ". also ", " + ", ". Then ", ", then ")
        )
        shifted = [
            replace(e, path="1" + e.path[1:], start=e.start + len(begin), end=e.end + len(begin))
            for e in second.evidence
        ]
        said = second.request[:1].lower() + second.request[1:]
        if any(e.rule == "span" and e.start == 0 for e in second.evidence):
            said = second.request
        return replace(
            first,
            messages=_with_request(first, begin + said),
            calls=(*first.calls, *second.calls),
            evidence=(*first.evidence, *shifted),
            source=f"{first.source} + {second.source}",
            template=f"{one.source} + {two.source}",
        )

    def _free(self, pair: Pair, slots: list[Slot]) -> list[Slot]:
        """Mark the slots that cannot change on their own.

        Where a date, a time or a number is not traced, it may hang on others (an end on a start): then
        none of them moves. Nor does a value that also stands, untraced, in another argument.
        """
        traced = {(slot.call, path) for slot in slots for path in slot.paths}
        loose = [
            (schema, value)
            for place, call in enumerate(pair.calls)
            if call.name in self.tools
            for path, schema, value in self._arguments(call)
            if (place, path) not in traced and not isinstance(value, bool)
        ]
        tied = any(_measured(schema) for schema, _ in loose)
        values = [value for _, value in loose]
        return [
            replace(
                slot,
                free=not (tied and _measured(self._schema(pair.calls[slot.call].name, slot.path)))
                and _get(pair.calls[slot.call].arguments, slot.path) not in values,
            )
            for slot in slots
        ]

    def _arguments(self, call: Call) -> Iterator[tuple[Path, Mapping[str, JSON], JSON]]:
        root = self.tools[call.name].parameters
        return _leaves(root, dict(call.arguments), (), root)

    def _movable(self, place: int) -> bool:
        """Tell whether every date of an example's calls is traced, so that all can move to another day."""
        pair, slots = self.examples[place]
        traced = {(slot.call, path) for slot in slots for path in slot.paths if slot.free}
        return all(
            (number, path) in traced
            for number, call in enumerate(pair.calls)
            if call.name not in RESERVED
            for path, schema, _ in self._arguments(call)
            if _is_date(schema)
        )

    def _moment(self, place: int) -> datetime | None:
        """Draw the moment at which an example is asked again: another day where its dates can move."""
        now = _now(self.examples[place][0])
        if now is None or self.rng.random() < 0.2 or not self._movable(place):
            return now
        return now + timedelta(days=self.rng.randrange(1, 700))

    def _schema(self, name: str, path: Path) -> Mapping[str, JSON]:
        document = self.samplers[name].document
        schema = document.normal(document.root)
        for part in path:
            inner = schema.get("items", {}) if isinstance(part, int) else schema.get("properties", {}).get(part, {})
            schema = document.normal(inner)
        return schema

    def _other(self, name: str, path: Path, schema: Mapping[str, JSON], today: date | None) -> JSON:
        known = self.seen[name, _general(path)]
        if known and not _is_date(schema) and self.rng.random() < borrowed_share(str(path[-1]), known):
            return self.rng.choice(known)
        return self.samplers[name].on(today).value(schema, str(path[-1]))

    def _say(self, schema: Mapping[str, JSON], slot: Slot, value: JSON, today: date | None) -> tuple[str, str]:
        ways = list(dict.fromkeys([*sayings(schema, str(slot.path[-1]), value, today), str(value)]))
        said = (
            ways[slot.way] if slot.way < len(ways) and self.rng.random() < 0.5 else self.rng.choice(ways[:-1] or ways)
        )
        if not slot.cased:
            said = said.lower()
        free = isinstance(value, str) and not any(key in schema for key in ("enum", "format", "pattern", "const"))
        return said, "span" if free or said == value else "context" if today and "format" in schema else "said"

    def _untraced(self, calls: tuple[Call, ...]) -> Iterator[Evidence]:
        for place, call in enumerate(calls):
            for path, _, _ in _leaves({}, dict(call.arguments), (), {}):
                yield Evidence(".".join(map(str, (place, *path))), "default")


def _measured(schema: Mapping[str, JSON]) -> bool:
    return "format" in schema or "pattern" in schema or schema.get("type") in ("integer", "number")


def _is_moment(schema: Mapping[str, JSON]) -> bool:
    return str(schema.get("format", "")).startswith(("date", "time")) or "pattern" in schema


def _general(path: Path) -> Path:
    return tuple("*" if isinstance(part, int) else part for part in path)


def _get(value: JSON, path: Path) -> JSON:
    for part in path:
        value = value[part]
    return value


def _put(value: JSON, path: Path, new: JSON) -> None:
    for part in path[:-1]:
        value = value[part]
    value[path[-1]] = new


def _with_request(pair: Pair, text: str) -> tuple[Mapping[str, JSON], ...]:
    last = max(place for place, message in enumerate(pair.messages) if message.get("role") == "user")
    return tuple({**m, "content": text} if place == last else m for place, m in enumerate(pair.messages))
