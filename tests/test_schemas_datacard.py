"""Pairs in files: JSON Lines and Parquet, whole or absent, with a card that knows them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.schemas.call import Call
from schematune.schemas.datacard import card_path
from schematune.schemas.errors import ExampleError
from schematune.schemas.pair import Evidence, Pair, Pairs, read_examples
from schematune.schemas.rows import read_rows, sha256_of
from schematune.schemas.stream import PairStream
from schematune.schemas.synthesize import synthesize
from schematune.schemas.tool import ToolSet

TOOLS = ToolSet(
    {
        "name": "weather",
        "description": "Get the weather of a city.",
        "parameters": {
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["city"],
        },
    }
)
FORMS = ("pairs.jsonl", "pairs.parquet")
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PAIRS = st.builds(
    lambda said, calls, context, seed, split, tools, evidence: Pair.of(
        said, calls, context=context, seed=seed, split=split, tools=tools, evidence=evidence, id="7", source="s"
    ),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.lists(st.builds(Call, TEXT, st.dictionaries(TEXT, VALUES, max_size=3)), min_size=1, max_size=2),
    st.dictionaries(TEXT, TEXT, max_size=2),
    st.none() | st.integers(0, 2**62),
    st.sampled_from(["train", "dev", "test"]),
    st.none() | st.lists(TEXT, min_size=1, max_size=2).map(tuple),
    st.lists(st.builds(Evidence, TEXT, st.just("span"), st.integers(0, 9), st.integers(0, 9)), max_size=2).map(tuple),
)


@pytest.mark.parametrize("name", FORMS)
@settings(deadline=None, max_examples=40)
@given(pairs=st.lists(PAIRS, max_size=4))
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, name: str, pairs: list[Pair]) -> None:
    path = tmp_path_factory.getbasetemp() / name
    Pairs(pairs).save(path)
    assert Pairs.load(path) == Pairs(pairs) and not card_path(path).exists()


@pytest.mark.parametrize("name", FORMS)
def test_a_card_stands_beside_synthesised_pairs_and_knows_them(tmp_path: Path, name: str) -> None:
    (tmp_path / "ours.jsonl").write_text(
        '{"messages": [{"role": "user", "content": "rain in Oslo?"}], "calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}\n'
    )
    path, avoid = tmp_path / name, [Pair.of("weather in Rome", [Call("weather", {"city": "Rome"})])]
    given: dict[str, Any] = {"examples": tmp_path / "ours.jsonl", "seed": 9, "avoid": avoid}
    pairs = synthesize(TOOLS, 300, **given)
    pairs.save(path, licence="CC0-1.0")
    card = json.loads(card_path(path).read_text())
    assert card["rows"] == 300 == sum(card["counts"]["kind"].values()) and card["sha256"] == sha256_of(path)
    assert card["counts"]["split"] == {split: len(getattr(pairs, split)) for split in card["counts"]["split"]}
    assert card["counts"]["source"]["example"] == 1 and card["counts"]["source"]["from example"] > 20
    assert card["licence_of_examples"] == "CC0-1.0" and card["seed"] == 9
    assert card["tools"]["fingerprint"] == TOOLS.fingerprint and card["rejected"] == dict(pairs.rejected)
    assert card["inputs"]["examples"]["file"] == "ours.jsonl" and card["inputs"]["avoid"]["rows"] == 1
    streamed = PairStream(TOOLS, 300, workers=2, **given).save(tmp_path / f"again-{name}", licence="CC0-1.0")
    assert {**streamed, "file": name} == card  # the same bytes, to the hash
    assert [pair.to_dict() for pair in Pairs.load(path)] == [pair.to_dict() for pair in pairs]
    assert read_examples(path, TOOLS)[5].calls == pairs[5].calls
    pairs[:10].save(path)
    assert len(Pairs.load(path)) == 10 and not card_path(path).exists()


@pytest.mark.parametrize("name", FORMS)
def test_pairs_that_changed_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    synthesize(TOOLS, 20, seed=1).save(path)
    card = card_path(path).read_text()
    synthesize(TOOLS, 20, seed=2).save(path)
    card_path(path).write_text(card)
    with pytest.raises(ExampleError, match=rf"{name}: the pairs are not those .* remove {name}.card.json"):
        Pairs.load(path)
    card_path(path).write_text("{}")
    with pytest.raises(ExampleError, match="no data card"):
        Pairs.load(path)
    card_path(path).unlink()
    assert len(Pairs.load(path)) == 20


def test_no_parquet_is_an_error_that_says_where(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no such thing")
    for name in ("x.parquet", "absent.parquet"):
        with pytest.raises(ExampleError, match=rf"{name}: cannot be read"):
            list(read_rows(tmp_path / name))


@pytest.mark.parametrize("name", FORMS)
def test_a_killed_process_leaves_nothing_that_looks_finished(tmp_path: Path, name: str) -> None:
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS.openai()))
    old = tmp_path / name
    code = (
        "import sys; from schematune.schemas.stream import PairStream; from schematune import ToolSet\n"
        "PairStream(ToolSet(sys.argv[1]), 1_000_000).save(sys.argv[2])"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "tools.json"), str(old)], env=environment)
    try:
        for _ in range(600):
            time.sleep(0.1)
            if any(path.stat().st_size for path in tmp_path.glob(f".{name}.*")):
                break
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert list(tmp_path.glob(f".{name}.*")) and not old.exists() and not card_path(old).exists()
