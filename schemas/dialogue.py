"""Conversations in which a call comes about piece by piece, with an assistant that talks.

The user says what is wanted and some of the arguments; the assistant asks for more, offers a value, says the whole back;
the user answers, agrees, thinks again. Before it there may have been talk of something else, some of which still holds
("and a room there"). What the tools are needed for is clear only at the end: the last words may be no more than a yes.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from schematune.schemas.call import Call
from schematune.schemas.frames import verb_and_thing
from schematune.schemas.jsontext import JSON
from schematune.schemas.normal import resolve
from schematune.schemas.pair import Evidence
from schematune.schemas.pieces import Piece, join_pieces
from schematune.schemas.realistic import concept
from schematune.schemas.roles import spoken
from schematune.schemas.tool import Tool
from schematune.schemas.turns import CHANGES, QUESTIONS, Talk, Turns
from schematune.schemas.wording import Worder

__all__ = ["Aside", "Dialogue"]

_YES = ("yes", "yes please", "yes, please do", "yep", "yeah", "sure", "sure, go ahead", "that's right", "correct", "right", "perfect", "great",
        "sounds good", "sounds great", "fine", "ok", "okay, do that", "that works", "exactly", "please do", "yes, that one", "good, go on",
        "i like that", "that would be nice", "absolutely", "yes that is fine")  # fmt: skip
_AFTER = ("", "", "", "", ". thanks", ", thank you", ". how long will it take?", ". what does it cost?", ". and is it far?", "!", ".",
          ". can you tell me more about it?", ". when will it be done?", ". who runs it?")  # fmt: skip
_LEAD = (
    "",
    "",
    "",
    "",
    "um,",
    "well,",
    "let me think,",
    "it's",
    "i'd like",
    "make it",
    "i want",
    "please",
    "it should be",
    "i think",
    "ok,",
    "hm,",
)
_OFFERS = ("How about {v}?", "There is {v}. Would that do?", "I found {v}, do you like that?", "What do you think of {v}?", "{v} would be possible.",
           "I can recommend {v}.", "Would {v} suit you?")  # fmt: skip
_BACK = ("So that is {all}. Is that right?", "Just to be sure: {all}. Shall I go on?", "{all}, correct?", "Please confirm: {all}.",
         "You want {all}, right?", "I have {all}. Should I go ahead?")  # fmt: skip
_CHANGED = (
    "So the {n} is {v} then?",
    "{v} instead. Anything else?",
    "Ok, {v}. Is it right now?",
    "{n}: {v}. Shall I go ahead?",
)
_DONE = ("Done.", "That is done. Anything else?", "I found {v}.", "There are {n}, {v} for one.", "It is {v}.", "All set!", "I have {n} for you. The first is {v}.",
         "Sorry, that did not work.", "It says {v}.", "Sure, it's all arranged.")  # fmt: skip
_ON = (
    "ok, now",
    "great. now",
    "thanks.",
    "thank you.",
    "good. and",
    "also,",
    "nice.",
    "alright,",
    "and",
    "perfect.",
    "fine, then",
    "one more thing:",
    "",
    "hm, leave it.",
)
_THERE = {
    "date": ("that day", "the same day", "then"),
    "time": ("then", "at the same time"),
    "person": ("the same person",),
}
_PLACES = ("city", "place", "country", "landmark", "province")


@dataclass(frozen=True)
class Aside:
    """Talk of something else: a tool that is not the one meant, and the arguments that were said for it."""

    tool: Tool
    values: Mapping[str, JSON]


@dataclass
class Dialogue:
    """Makes conversations about one tool, in the wording of one speaker.

    `offers`: the assistant may say a value that the user only agrees to. Such a value stands in no message of the user's;
    its evidence is where the user agreed, by the rule `"offered"`.
    """

    rng: random.Random
    worder: Worder
    offers: bool = False
    talk: Talk = field(default_factory=Talk)

    def about(
        self,
        tool: Tool,
        values: Mapping[str, JSON],
        *,
        aside: Aside | None = None,
        change: tuple[str, JSON] | None = None,
    ) -> Turns:
        """Talk until all `values` are known; returns the messages, which end with the user's, and the call.

        `aside` is what was talked of before; `change` is an argument and the value that the user comes to want.
        """
        known, rng = dict(values), self.rng
        self.talk = Talk()
        kept = self._aside(aside, tool, known) if aside else {}
        rest = [name for name in known if name not in kept]
        rng.shuffle(rest)
        now = min(len(rest), rng.choice((0, 1, 1, 2, 3)))
        first, shape = self.worder.request(tool, {name: known[name] for name in rest[:now]})
        self.talk.user([*self._reference(kept), *first] if kept else [*self._opening(aside), *first])
        self.talk.said |= kept
        rest = rest[now:]
        while rest:
            some, rest = (rest[: (many := rng.choice((1, 1, 1, 2, 3)))], rest[many:])
            self._ask(tool, some, known)
        if change or rng.random() < 0.45:
            self._say_back(tool, known, agreed=change is None)
        if change:
            self._change(tool, *change)
            known[change[0]] = change[1]
        return self.talk.turns(Call(tool.name, {n: known[n] for n in tool.properties if n in known}), f"talk:{shape}")

    def _aside(self, aside: Aside, tool: Tool, known: dict[str, JSON]) -> dict[str, Evidence]:
        """Talk of something else first; what still holds goes into `known`, and its evidence is returned."""
        rng = self.rng
        pieces, _ = self.worder.request(aside.tool, aside.values)
        found = self.talk.user(pieces)
        word = verb_and_thing(aside.tool.name)[1]
        values = [str(value) for value in aside.values.values() if isinstance(value, str)] or [f"a {word}"]
        self.talk.assistant(rng.choice(_DONE).format(v=rng.choice(values), n=rng.choice(("three", "2", "ten", "some"))))
        self.talk.said = {}
        if rng.random() < 0.25:
            self.talk.user([Piece(rng.choice(_YES))])
            self.talk.assistant(rng.choice(_DONE[:2]))
        kept = {}
        for name in known:
            old = next((o for o in aside.values if self._same(aside.tool, o, tool, name)), None)
            if old is not None and f"0.{old}" in found and rng.random() < 0.5:
                known[name] = aside.values[old]
                kept[f"0.{name}"] = replace(found[f"0.{old}"], path=f"0.{name}")
        return kept

    def _same(self, one: Tool, old: str, other: Tool, name: str) -> bool:
        """Tell whether two arguments of two tools take the same: free texts, or days, about the same."""
        schemas = [resolve(t.properties[n], t.parameters) for t, n in ((one, old), (other, name))]
        kinds = [(s.get("type"), s.get("format"), "enum" in s or "pattern" in s) for s in schemas]
        alike = concept(old) == concept(name) or {concept(old), concept(name)} <= {"city", "place"}
        return alike and kinds[0] == kinds[1] and kinds[0] in (("string", None, False), ("string", "date", False))

    def _opening(self, aside: Aside | None) -> list[Piece]:
        return [Piece(self.rng.choice(_ON))] if aside else []

    def _reference(self, kept: Mapping[str, Evidence]) -> list[Piece]:
        """Return how the user goes on, with a word for what was said before, now and then."""
        about = concept(next(iter(kept)).split(".")[1])
        words = _THERE.get(about, ("there", "over there", "there too") if about in _PLACES else ())
        referred = [Piece(self.rng.choice(words)), Piece(",")] if words and self.rng.random() < 0.7 else []
        return [Piece(self.rng.choice(_ON)), *referred]

    def _ask(self, tool: Tool, names: Sequence[str], known: Mapping[str, JSON]) -> None:
        """Have the assistant ask for arguments, or offer one, and the user answer."""
        rng = self.rng
        value = known[names[0]]
        if self.offers and isinstance(value, str) and rng.random() < 0.35:
            self.talk.assistant(rng.choice(_OFFERS).format(v=self._told(tool, names[0], value)))
            agreed = rng.choice(_YES)
            answer = [Piece(agreed, (f"0.{names[0]}",), "offered"), Piece(".")]
            names = names[1:]
        else:
            self.talk.assistant(rng.choice(QUESTIONS).format(n=self._asked(tool, names)))
            answer = [Piece(rng.choice(_LEAD))]
        for place, name in enumerate(names):
            joint = [Piece(rng.choice((",", "and", ".", ", and")))] if place else []
            answer += [*joint, *self.worder.argument(tool, name, known[name])]
        self.talk.user([*answer, Piece(rng.choice(("", "", "", ".", ", please", ". thanks", "!")))])

    def _asked(self, tool: Tool, names: Sequence[str]) -> str:
        """Return what is asked for, with the choices of an argument that has few."""
        parts = []
        for name in names:
            options = resolve(tool.properties[name], tool.parameters).get("enum", ())
            shown = ", ".join(str(option).replace("_", " ") for option in options[:4])
            parts.append(f"{spoken(name)} ({shown})" if shown and self.rng.random() < 0.5 else spoken(name))
        return " and ".join(parts)

    def _told(self, tool: Tool, name: str, value: JSON) -> str:
        schema = resolve(tool.properties.get(name, {}), tool.parameters)
        return join_pieces(self.worder.phrase(name, schema, value, name, tool.parameters, bare=True))[0]

    def _say_back(self, tool: Tool, known: Mapping[str, JSON], *, agreed: bool) -> None:
        """Have the assistant say the whole, and the user agree where it is so."""
        rng = self.rng
        told = [f"{spoken(name)} {self._told(tool, name, value)}" for name, value in known.items()]
        thing = verb_and_thing(tool.name)[1]
        whole = ", ".join([rng.choice((thing, f"a {thing}", f"the {thing}")), *told])
        text = rng.choice(_BACK).format(all=whole)
        self.talk.assistant(text[:1].upper() + text[1:])
        if agreed:
            self.talk.user([Piece(rng.choice(_YES)), Piece(rng.choice(_AFTER))])

    def _change(self, tool: Tool, name: str, value: JSON) -> None:
        """Have the user think again about one argument, and mostly agree once it is said back."""
        rng = self.rng
        joint = Piece(rng.choice(("no,", "not quite,", "almost,", "")))
        self.talk.user([joint, Piece(rng.choice(CHANGES)), *self.worder.argument(tool, name, value)])
        if rng.random() < 0.5:
            self.talk.assistant(rng.choice(_CHANGED).format(n=spoken(name), v=self._told(tool, name, value)))
            self.talk.user([Piece(rng.choice(_YES)), Piece(rng.choice(_AFTER))])
