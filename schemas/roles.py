"""What an argument is to a request (where to, when, how many), and the phrases that say such an argument."""

from functools import lru_cache

from schematune.schemas.lexicon import words_of
from schematune.schemas.realistic import concept

__all__ = ["PHRASES", "is_kind", "measured_as", "ranges", "role_of", "spoken"]

PHRASES: dict[str, tuple[str, ...]] = {
    "from": ("from {v}", "from {v}", "starting at {v}", "out of {v}", "leaving {v}", "pick up at {v}", "{n} {v}"),
    "source": ("from {v}", "from {v}", "from {v}", "{n} {v}", "{n}: {v}"),
    "into": ("to {v}", "to {v}", "into {v}", "in {v}", "{n} {v}"),
    "to": ("to {v}", "to {v}", "to {v}", "going to {v}", "for {v}", "{n} {v}"),
    "date": ("on {v}", "on {v}", "for {v}", "{v}", "{n} {v}", "{n}: {v}", "the {n} is {v}", "with {n} {v}"),
    "day": ("{v}", "{v}", "{v}", "for {v}", "on {v}", "{n} {v}"),
    "after": ("after {v}", "since {v}", "from {v} on", "{n} {v}"),
    "until": ("until {v}", "by {v}", "till {v}", "{n} {v}", "to {v}", "ending {v}"),
    "begin": ("from {v}", "starting {v}", "as of {v}", "beginning {v}", "{n} {v}", "on {v}"),
    "time": ("at {v}", "at {v}", "at {v}", "{v}", "for {v}", "around {v}", "{n} {v}"),
    "moment": ("{v}", "{v}", "for {v}", "{n} {v}", "{v}"),
    "owner": ("for {v}", "of {v}", "{n} {v}", "{n}: {v}", "belonging to {v}"),
    "here": ("{v}", "{v}", "{v}", "near {v}", "at {v}", "for {v}", "around {v}"),
    "person": ("for {v}", "with {v}", "to {v}", "{v}", "{n} {v}", "{n} is {v}", "by {v}", "and {v}"),
    "people": ("with {v}", "invite {v}", "together with {v}", "{n} {v}", "{n}: {v}", "for {v}", "{v} too"),
    "place": ("in {v}", "in {v}", "at {v}", "near {v}", "for {v}", "{n} {v}", "{v}", "around {v}"),
    "company": ("at {v}", "from {v}", "by {v}", "with {v}", "{n} {v}", "for {v}"),
    "title": ("called {v}", "named {v}", "{v}", "{v}", "titled {v}", "for {v}", "{n} {v}", "the {v}", "{n}: {v}"),
    "text": (": {v}", "saying {v}", "that says {v}", "{n}: {v}", "{n} {v}", "{v}", "with the {n} {v}", "and say {v}"),
    "query": ("for {v}", "about {v}", "on {v}", "{v}", "{n} {v}", "with {v}"),
    "count": ("{v} {n}", "{v} {n}", "for {v} {n}", "with {v} {n}", "{n} {v}", "{n}: {v}", "{n} of {v}", "{v}"),
    "numbered": ("{n} {v}", "{n} {v}", "{n} number {v}", "number {v}", "{n} no. {v}", "{n}: {v}", "the {n} is {v}"),
    "limit": ("at most {v}", "up to {v}", "limit {v}", "no more than {v}", "only {v}", "just the first {v}", "max {v}", "{n}: {v}", "{n} {v}"),
    "most": ("at most {v}", "up to {v}", "max {n} {v}", "{n} up to {v}", "{n} at most {v}", "no more than {v}", "maximum {n} {v}"),
    "least": ("at least {v}", "min {n} {v}", "{n} at least {v}", "{n} from {v} up", "{n} {v} or more", "minimum {n} {v}"),
    "span": ("for {v}", "for {v}", "{v}", "{v} long", "lasting {v}", "{n} {v}", "{n}: {v}", "{n} of {v}"),
    "party": ("for {v}", "for {v}", "{v}", "with {v}", "we are {v}", "of {v}"),
    "measure": ("{n} {v}", "{n} of {v}", "{v}", "with {n} {v}", "{n}: {v}", "the {n} is {v}", "a {n} of {v}", "at {v}"),
    "path": ("in {v}", "at {v}", "{v}", "{n} {v}", "{n}: {v}", "under {v}", "the {n} is {v}", "{v}"),
    "amount": ("of {v}", "for {v}", "{v}", "{n} {v}", "{n}: {v}", "{v} in total", "worth {v}", "costing {v}"),
    "number": ("{n} {v}", "{n} {v}", "{n} of {v}", "{n} = {v}", "with {n} {v}", "the {n} is {v}", "{n}: {v}", "a {n} of {v}", "{v} {n}"),
    "choice": ("{v}", "{v}", "as {v}", "{v} {n}", "{n} {v}", "with {n} {v}", "in {v}", "{n}: {v}", "for {v}", "use {v}", "the {v} one"),
    "id": ("{v}", "{n} {v}", "{n} {v}", "with {n} {v}", "number {v}", "{n}: {v}", "under {v}", "for {n} {v}", "({v})"),
    "language": ("in {v}", "to {v}", "into {v}", "{n} {v}", "the {v} version"),
    "contact": ("at {v}", "to {v}", "{v}", "{n} {v}", "({v})", "{n}: {v}", "via {v}"),
    "things": ("with {v}", "{v}", "{n}: {v}", "{n} {v}", "including {v}", "such as {v}", "for {v}", "only {v}", "the {n} {v}"),
    "year": ("from {v}", "from the year {v}", "{v}", "of {v}", "in {v}", "{n} {v}"),
    "maker": ("by {v}", "by {v}", "from {v}", "of {v}", "with {v}", "{n} {v}", "by the {n} {v}"),
    "province": ("in {v}", "in {v}", "{v}", ", {v}", "{n} {v}", "in the {n} of {v}"),
    "city": ("in {v}", "in {v}", "{v}", "for {v}", "near {v}", "{n} {v}", "in the {n} of {v}", ", {v}"),
    "country": ("in {v}", "in {v}", "{v}", ", {v}", "{n} {v}", "for {v}"),
    "landmark": ("at {v}", "in {v}", "near {v}", "at the {v}", "{v}", "{n} {v}", "around {v}", "for {v}"),
    "service": ("on {v}", "via {v}", "using {v}", "through {v}", "with {v}", "from {v}", "on the {n} {v}"),
    "unit": ("{v}", "{v}", "in {v}", "{n} {v}"),
    "manner": ("{v}", "the {v} one", "{v} first", "{n} {v}", "{n}: {v}"),
    "nearness": ("{v}", "{v}", "{v}", "{n} {v}"),
    "warmth": ("{v}", "when it is {v}", "{n} {v}", "if it's {v}"),
    "quality": ("{v}", "that is {v}", "{n} {v}", "with {n} {v}", "{v} {n}"),
    "tally": ("{v}", "for {v}", "of {v}", "{n} {v}", "{n} of {v}", "with {n} {v}", "{n}: {v}"),
    "kind": ("{v}", "{n} {v}", "of {n} {v}", "a {v}", "{v} {n}", "that is a {v}", "some {v}"),
    "food": ("with {v}", "that serves {v}", "serving {v}", "{v}", "for {v}", "{n} {v}", "where they have {v}"),
    "feature": ("with {v}", "with a {v}", "that has {v}", "that has a {v}", "{n} {v}", "and {v}"),
    "thing": ("{n} {v}", "{n} {v}", "with {n} {v}", "{v}", "{n}: {v}", "the {n} is {v}", "for {v}", "{v} as {n}", "of {v}", "{n} = {v}", "using {v}"),
}  # fmt: skip
_FROM = {"from", "base", "origin", "pickup", "source", "departure", "sender", "src"}
_TO = {"to", "destination", "recipient", "recipients", "dest", "target", "dropoff", "arrival", "receiver"}
_COUNTED = {"people", "guests", "passengers", "adults", "children", "count", "quantity", "number", "copies", "results",
            "nights", "days", "hours", "minutes", "limit", "size", "seats", "rooms", "times", "items", "pages"}  # fmt: skip
_MONEY = {"amount", "price", "cost", "budget", "fee", "total", "salary", "payment", "rent", "fare", "value", "sum"}
_FILLERS = {"num", "max", "min", "of", "the", "name", "id", "is", "has", "value", "string", "number", "total", "input"}


@lru_cache(maxsize=65536)
def role_of(name: str, kind: str, form: str) -> str:
    """Tell the role of an argument, a key of `PHRASES`, by its name, its kind and its format.

    >>> role_of("pickup", "string", ""), role_of("due_date", "string", "date"), role_of("guests", "integer", "")
    ('from', 'until', 'count')
    """
    words = set(words_of(name))
    about = concept(name)
    if kind in ("integer", "number"):
        return _number_role(name)
    if kind == "enum":
        return "language" if about == "language" else "choice"
    if form in ("date", "date-time"):
        for role, marks in (("after", {"after", "since"}), ("until", {"until", "end", "last", "due", "deadline", "by", "checkout", "return", "to"}),
                            ("begin", {"first", "start", "begin", "from", "since", "checkin"})):  # fmt: skip
            if words & marks:
                return role
        return "date"
    if form == "clock":
        return "time"
    if words & _FROM:
        return "from" if about in ("place", "city", "country", "province", "landmark") else "source"
    if words & _TO:
        return "into" if about in ("currency", "unit") else "to"
    if kind == "array":
        return "people" if about == "person" else "things"
    same = {
        "email": "contact",
        "phone": "contact",
        "url": "contact",
        "file": "title",
        "folder": "path",
        "color": "choice",
        "currency": "choice",
    }
    return "maker" if words & {"author", "writer"} and about == "person" else same.get(about, about)


def _number_role(name: str) -> str:
    """Tell the role of a number by its name."""
    words = words_of(name)
    about = set(words)
    if {"max", "maximum"} & about:
        return "most"
    if {"min", "minimum"} & about:
        return "least"
    if "limit" in about:
        return "limit"
    if about & _MONEY:
        return "amount"
    if words[-1:] == ["year"]:
        return "year"
    if len(words) > 1 and words[-1] in ("number", "no", "num"):
        return "numbered"
    return "count" if about & _COUNTED else "number"


def measured_as(name: str, unit: str) -> tuple[str, str]:
    """Tell the role of a number that is said with its unit, and what is left of its name to say.

    >>> measured_as("duration_minutes", "minutes"), measured_as("max_weight", "kg"), measured_as("people", "people")
    (('span', 'duration'), ('most', 'max_weight'), ('party', ''))
    """
    words, role = words_of(name), _number_role(name)
    if words[-1] == unit or words[-1] in _UNITS:
        words = words[:-1]
        name = "_".join(words)
    if role in ("most", "least", "amount"):
        return role if words else "span", name
    return "span" if unit in _SPANS and "age" not in words else "party" if unit == "people" else "measure", "_".join(
        set(words) - _FILLERS and words
    )


_SPANS = {"minutes", "hours", "days", "nights", "weeks", "months", "years", "seconds"}
_UNITS = {"minute", "mins", "percentage", "pct", "secs", "ms", "kilometers", "kilograms", "px", "percent"}


def spoken(name: str) -> str:
    """Return an argument's name as words, without the ones that say nothing.

    >>> spoken("maxResults")
    'results'
    """
    words = words_of(name)
    kept = [word for word in words if word not in _FILLERS]
    return " ".join(kept or words)


_ENDS = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("low", "high"),
    ("lower", "upper"),
    ("lowest", "highest"),
    ("start", "end"),
    ("from", "to"),
)


@lru_cache(maxsize=4096)
def ranges(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of arguments that are the ends of a range, by their names.

    >>> ranges(("min_price", "city", "maxPrice"))
    (('min_price', 'maxPrice'),)
    """
    known = {tuple(words_of(name)): name for name in names}
    found = []
    for words, name in known.items():
        for low, high in _ENDS:
            other = tuple(high if word == low else word for word in words)
            if other != words and other in known:
                found.append((name, known[other]))
    return tuple(found)


def is_kind(name: str, free: tuple[str, ...]) -> bool:
    """Tell whether an argument takes a kind of thing: by its name, or because others beside it take the name of the thing.

    >>> is_kind("room_type", ()), is_kind("item", ("item",)), is_kind("shop_item", ("shop_item", "label"))
    (True, False, True)
    """
    if concept(name) == "kind":
        return True
    words = words_of(name)
    others = (n for n in free if n != name and concept(n) in ("title", "maker") and not _ITEMS & set(words_of(n)[-1:]))
    return len(words) > 1 and words[-1] in _ITEMS and any(others)


_ITEMS = {"item", "object", "thing", "element", "entity"}
