"""Personal data: what is found in the hand-made sentences, and stand-ins that fit everywhere they are needed."""

import ipaddress
import json
import pickle
import random
import re
from datetime import date
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import iban, luhn

from schematune.benchmarks.privacy import CASES, main, read_marked
from schematune.cli import main as command
from schematune.schemas.call import Call
from schematune.schemas.checks import Checker
from schematune.schemas.errors import ExampleError
from schematune.schemas.pair import Evidence, Pair, Pairs
from schematune.schemas.personal import KINDS, find, kind_of_argument, stdnum
from schematune.schemas.privacy import Scrubber
from schematune.schemas.standins import StandIns
from schematune.schemas.synthesize import synthesize
from schematune.schemas.tool import ToolSet

SENTENCES = read_marked(CASES)
TOOLS = ToolSet(
    [
        {
            "name": "send_message",
            "description": "Send a message to a person.",
            "parameters": {
                "properties": {
                    "recipient": {"type": "string", "minLength": 1},
                    "email": {"type": "string", "format": "email"},
                    "phone": {"type": "string"},
                    "channel": {"enum": ["sms", "Florence"]},
                    "text": {"type": "string"},
                },
                "required": ["recipient"],
            },
        },
        {
            "name": "pay",
            "description": "Pay with a card.",
            "parameters": {
                "properties": {"card": {"type": "integer"}, "iban": {"type": "string"}, "amount": {"type": "number"}}
            },
        },
    ]
)


def gold(kind: str) -> list[str]:
    return [case.text[start:end] for case in SENTENCES for one, start, end in case.gold if one == kind]


def test_what_the_benchmark_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["marked"] >= 120 and said["sentences"] >= 160
    assert said["precision"] >= 0.97 and said["recall"] >= 0.85 and said["tripped"] <= 0.05
    assert said["by_kind"]["person"]["recall"] >= 0.7
    for kind in ("iban", "card", "phone", "ip", "url"):
        assert said["by_kind"][kind]["recall"] >= 0.9, kind


@pytest.mark.parametrize("kind", KINDS)
def test_stand_ins_are_of_the_same_kind_and_shape(kind: str) -> None:
    for text in gold(kind):
        for one in [one for one in find(f"{'born ' if kind == 'birth_date' else ''}{text}") if one.kind == kind]:
            stands = StandIns(random.Random(3))
            original = f"{'born ' if kind == 'birth_date' else ''}{text}"[one.start : one.end]
            other = stands(kind, original, one.key)
            assert other != original and other == stands(kind, original, one.key)
            if kind in ("card", "iban", "national_id", "phone", "secret", "url"):
                assert re.sub(r"[A-Z]", "A", re.sub(r"[a-z]", "a", re.sub(r"\d", "0", other))) == re.sub(
                    r"[A-Z]", "A", re.sub(r"[a-z]", "a", re.sub(r"\d", "0", original))
                )
            if kind == "iban":
                assert iban.is_valid(other, check_country=False) and other[:2] == original[:2]
            elif kind == "card":
                assert luhn.is_valid(re.sub(r"\D", "", other))
            elif kind == "national_id":
                assert stdnum(one.key.partition(":")[0]).is_valid(other)
            elif kind == "ip":
                assert ipaddress.ip_address(other).version == ipaddress.ip_address(original).version
            elif kind == "phone" and one.key.startswith("+1"):
                assert phonenumbers.is_valid_number(phonenumbers.parse(other, "US"))
            elif kind == "person":
                assert original.islower() == other.islower() and len(original.split()) == len(other.split())
            elif kind == "birth_date":
                assert re.sub(r"\d+|[A-Za-z]+", "", other) == re.sub(r"\d+|[A-Za-z]+", "", original)


def one_pair(request: str, evidence: tuple[Evidence, ...] = (), **arguments: Any) -> Pair:
    return Pair.of(request, [Call("send_message", arguments)], source="example:1", evidence=evidence)


def test_request_context_and_call_get_the_same_stand_ins() -> None:
    request = "message Anna Schmidt at Anna.Schmidt@firma.de that Anna owes Tom 40 euros, her cell is (212) 736-5000"
    pair = one_pair(
        request,
        (Evidence("0.recipient", "span", 8, 20), Evidence("0.email", "span", 24, 45)),
        recipient="Anna Schmidt",
        email="Anna.Schmidt@firma.de",
        phone="+12127365000",
        text="Anna owes Tom 40 euros",
    )
    [new] = Scrubber(seed=4, tools=TOOLS).pairs([pair])
    arguments = new.calls[0].arguments
    assert not TOOLS.violations(new.calls[0])
    assert not re.search("Anna|Schmidt|Tom|firma|7365000|736-5000", json.dumps(new.to_dict()))
    assert arguments["recipient"] in new.request and arguments["text"] in new.request and "40 euros" in new.request
    assert arguments["text"].startswith(arguments["recipient"].split()[0] + " owes ")
    number = re.search(r"\(212\) \d{3}-\d{4}", new.request)
    assert number and phonenumbers.parse(number[0], "US") == phonenumbers.parse(arguments["phone"])
    for item in new.evidence:
        assert new.request[item.start : item.end] == arguments[item.path.partition(".")[2]]
    assert Checker(TOOLS).passes(new, own=True)


def test_synthetic_pairs_stay_right_once_scrubbed() -> None:
    tools = ToolSet(CASES.parent / "tools.json")
    pairs = synthesize(tools, 300, seed=7)
    scrubber, checker = Scrubber(tools=tools), Checker(tools)
    scrubbed = scrubber.pairs(pairs)
    assert len(scrubbed) == 300 and scrubber.replaced["person"] > 50 and scrubber.replaced["email"] > 5
    for pair, new in zip(pairs, scrubbed, strict=True):
        assert not checker.flaw(new), new
        for old, item in zip(pair.evidence, new.evidence, strict=True):
            said = new.said[item.start : item.end]
            assert said in (pair.said[old.start : old.end], _at(new, item.path)) or item.rule != "span"


def _at(pair: Pair, path: str) -> Any:
    place, *parts = path.split(".")
    value: Any = dict(pair.calls[int(place)].arguments)
    for part in parts:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def test_what_only_the_call_gives_away_goes_from_the_request_too() -> None:
    pair = one_pair("tell yuki and paris it is off", recipient="yuki")
    [new] = Scrubber(tools=TOOLS).pairs([pair])
    assert (
        "yuki" not in new.request and str(new.calls[0].arguments["recipient"]) in new.request and "paris" in new.request
    )
    pay = Pair.of("pay 25 with 4111 1111 1111 1111", [Call("pay", {"card": 4111111111111111, "amount": 25})])
    [new] = Scrubber(tools=TOOLS).pairs([pay])
    card = new.calls[0].arguments["card"]
    assert card != 4111111111111111 and luhn.is_valid(str(card)) and new.calls[0].arguments["amount"] == 25
    assert str(card) in new.request.replace(" ", "")


def test_listed_values_and_what_is_kept_stay() -> None:
    pair = one_pair("ping Emma Watson on Florence, then call Florence", recipient="Emma Watson", channel="Florence")
    [new] = Scrubber(tools=TOOLS).pairs([pair])
    assert new.calls[0].arguments["channel"] == "Florence" and new.request.count("Florence") == 2
    assert "Emma" not in new.request
    [kept] = Scrubber(tools=TOOLS, keep=["Emma Watson"]).pairs([pair])
    assert kept.request == pair.request and kept.calls == pair.calls
    only = Scrubber(kinds=["email"]).text("Anna has anna@x.org")
    assert only.startswith("Anna has ") and "anna@x.org" not in only
    with pytest.raises(ExampleError, match="no kind 'shoe'"):
        Scrubber(kinds=["shoe"])


def test_tool_turns_are_scrubbed_and_stay_json() -> None:
    called = {
        "id": "c1",
        "type": "function",
        "function": {"name": "pay", "arguments": '{"iban":"DE89370400440532013000"}'},
    }
    messages = (
        {"role": "user", "content": "pay DE89 3704 0044 0532 0130 00"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c1", "content": "paid to Lena Fischer"},
        {"role": "user", "content": "again to Lena Fischer"},
    )
    pair = Pair(messages, (Call("pay", {"iban": "DE89370400440532013000"}),), context={"now": "2026-11-22T10:00+00:00"})
    [new] = Scrubber().pairs([pair])
    inner = json.loads(new.messages[1]["tool_calls"][0]["function"]["arguments"])
    assert inner["iban"] == new.calls[0].arguments["iban"] == new.messages[0]["content"][4:].replace(" ", "")
    assert iban.is_valid(inner["iban"], check_country=False) and inner["iban"] != "DE89370400440532013000"
    assert new.messages[2]["content"][8:] == new.messages[3]["content"][9:] != "Lena Fischer"
    assert new.context == pair.context and [m["role"] for m in new.messages] == [m["role"] for m in messages]


def test_a_pair_that_no_longer_fits_is_left_out() -> None:
    tools = ToolSet({"name": "f", "parameters": {"properties": {"who": {"type": "string", "pattern": "^Anna$"}}}})
    scrubber = Scrubber(tools=tools)
    assert len(scrubber.pairs([Pair.of("it is Anna", [Call("f", {"who": "Anna"})])])) == 0 and scrubber.unfit == 1


def test_days_of_birth_are_the_same_in_any_form() -> None:
    scrubber = Scrubber(seed=2)
    said = scrubber.text("born 3 May 1984, dob 1984-05-03, date of birth: 03.05.1984")
    days = re.findall(r"\d+ \w+ \d{4}|\d{4}-\d\d-\d\d|\d\d\.\d\d\.\d{4}", said)
    assert len(days) == 3 and date.fromisoformat(days[1]) != date(1984, 5, 3)
    new = date.fromisoformat(days[1])
    assert days[0].startswith(f"{new.day} ") and days[2] == f"{new:%d.%m.%Y}"


def test_nothing_is_written_and_nothing_shown() -> None:
    scrubber = Scrubber()
    scrubber.text("mail anna@x.org")
    assert "anna" not in repr(scrubber)
    with pytest.raises(ExampleError, match="not written to disk"):
        pickle.dumps(scrubber)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([case.text for case in SENTENCES]), min_size=1, max_size=4), st.integers(0, 9))
def test_the_same_seed_gives_the_same_and_originals_never_come_back(texts: list[str], seed: int) -> None:
    one, other = Scrubber(seed=seed), Scrubber(seed=seed)
    said = [one.text(text) for text in texts]
    assert said == [other.text(text) for text in texts] == [one.text(text) for text in texts]
    for text, new in zip(texts, said, strict=True):
        for found in find(text):
            if found.kind not in ("person", "address"):
                assert text[found.start : found.end] not in new


@given(st.text(max_size=80))
def test_any_text_can_be_scrubbed(text: str) -> None:
    assert isinstance(Scrubber().text(text), str)


def test_arguments_tell_what_they_hold() -> None:
    assert kind_of_argument("attendees", "Yuki") == "person" and kind_of_argument("attendees", "sales team") == ""
    assert kind_of_argument("api_key", "x") == "secret" and kind_of_argument("phone", "4155552671") == "phone"
    assert kind_of_argument("title", "Anna") == "" and kind_of_argument("dob", "1984-05-03") == "birth_date"


def test_synthesis_scrubs_examples_before_they_multiply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = [
        one_pair("message Ingrid Halvorsen that i am late", recipient="Ingrid Halvorsen", text="i am late"),
        one_pair("email to ingrid@halvorsen.no: lunch?", recipient="ingrid@halvorsen.no", text="lunch?"),
    ]
    pairs = synthesize(TOOLS, 200, examples=examples, seed=1, scrub=True, workers=2)
    assert pairs == synthesize(TOOLS, 200, examples=examples, seed=1, scrub=Scrubber(seed=1, tools=TOOLS))
    assert pairs.origin["replaced"] == {"person": 2, "email": 2}
    assert sum(pair.source.startswith(("example", "from")) for pair in pairs) > 50
    whole = json.dumps([pair.to_dict() for pair in pairs])
    assert "Halvorsen" not in whole and "halvorsen" not in whole
    Pairs(examples).save(tmp_path / "ours.jsonl")
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS.openai()))
    out = tmp_path / "pairs.parquet"
    given = ["synth", "--tools", str(tmp_path / "tools.json"), "--examples", str(tmp_path / "ours.jsonl")]
    command([*given, "--out", str(out), "--pairs", "60", "--scrub", "--licence", "CC0-1.0"])
    assert "'person': 2" in capsys.readouterr().err and len(Pairs.load(out)) == 60
    assert "halvorsen" not in (tmp_path / "pairs.parquet.card.json").read_text().lower()
