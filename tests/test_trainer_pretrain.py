"""The built-in base's recipe: tokenizer, corpus, copying heads, a run that goes on where it stopped."""

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.decoding.base import load_base
from schematune.schemas.call import Call
from schematune.schemas.form import COMPACT
from schematune.schemas.invent import invent_tools, tool_set
from schematune.schemas.pair import Pair
from schematune.schemas.render import Renderer
from schematune.schemas.synthesize import Synthesizer
from schematune.schemas.tool import ToolSet
from schematune.trainer.copyheads import write_copy_heads
from schematune.trainer.corpus import Block, Corpus, Sources, _swapped
from schematune.trainer.documents import Documents, Feed, encode, pack, split
from schematune.trainer.masters import Muon
from schematune.trainer.namespaces import in_namespaces
from schematune.trainer.packed import PackedLlama
from schematune.trainer.pretrain import TEMPLATE, Recipe, pretrain
from schematune.trainer.talk import among_talk
from schematune.trainer.tokens import make_tokenizer, train_tokenizer

SMALL = Recipe(
    minutes=0.05,
    width=64,
    layers=2,
    heads=2,
    inner=96,
    vocabulary=600,
    context=512,
    batch_tokens=512,
    tokenizer_text=60_000,
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    blocks = [block for block, _ in zip(Corpus(Sources(), 1), range(12), strict=False)]
    texts = [pair.request + " ".join(call.json() for call in pair.calls) for block in blocks for pair in block.pairs]
    return make_tokenizer(train_tokenizer(texts, size=600), TEMPLATE, context=512)


@settings(deadline=None)
@given(text=st.text(max_size=40))
def test_text_survives_the_tokenizer(tokenizer: Any, text: str) -> None:
    assert (
        tokenizer.decode(tokenizer.encode(text, add_special_tokens=False), clean_up_tokenization_spaces=False) == text
    )


@pytest.mark.parametrize("value", ["Oslo", "getUserName", "2026-11-22", "café 12", "#A-1"])
def test_a_value_reads_the_same_in_a_request_and_in_json(tokenizer: Any, value: str) -> None:
    said = tokenizer.encode(f"to {value} now", add_special_tokens=False)
    written = tokenizer.encode(f'{{"city":"{value}"}}', add_special_tokens=False)
    inner = tokenizer.encode(value, add_special_tokens=False)

    def holds(ids: list[int]) -> bool:
        return any(ids[i : i + len(inner)] == inner for i in range(len(ids)))

    assert holds(said) and holds(written)


def test_swapped_values_are_still_copied() -> None:
    others = [Pair.of(f"play {song} by {who}", [Call("play", {"song": song, "who": who})])
              for song, who in (("help", "abba"), ("one", "cher"), ("hey you", "moby"))]  # fmt: skip
    rng, changed = random.Random(0), 0
    for _ in range(60):
        pair = rng.choice(others)
        other = _swapped(pair, others, rng)
        song, who = (other.calls[0].arguments[name] for name in ("song", "who"))
        assert other.request == f"play {song} by {who}"
        changed += other.request != pair.request
    assert 10 < changed < 50  # about half are swapped


def test_a_block_is_what_the_template_renders(tokenizer: Any) -> None:
    renderer = Renderer(tokenizer)
    assert renderer.form == COMPACT
    tools = ToolSet([{"name": "f", "description": "Do f.", "parameters": {"properties": {"a": {"type": "string"}}}}])
    pairs = (Pair.of("f with x", [Call("f", {"a": "x"})]), Pair.of("f and f", [Call("f", {"a": "y"}), Call("f")]))
    ids, weights = encode(Block(tools, True, pairs), renderer, limit=400, request_weight=0.15)
    turns = [
        turn
        for pair in pairs
        for turn in (
            {"role": "user", "content": pair.request},
            {"role": "assistant", "content": COMPACT.write(pair.calls)},
        )
    ]
    assert tokenizer.decode(ids) == tokenizer.apply_chat_template(turns, tools=tools.openai(), tokenize=False)
    scored = tokenizer.decode([token for token, weight in zip(ids, weights, strict=True) if weight == 1.0])
    assert scored == "".join(COMPACT.write(pair.calls) + "<|end|>" for pair in pairs)
    assert encode(Block(tools, True, pairs), renderer, limit=20, request_weight=0.15) == ([], [])


def test_corpus_is_seeded_and_its_calls_fit_its_tools() -> None:
    first, again = ([block for block, _ in zip(Corpus(Sources(), 7), range(20), strict=False)] for _ in range(2))
    assert [b.pairs for b in first] == [b.pairs for b in again]
    for block in first:
        tools = ToolSet([tool.openai() for tool in block.tools])
        assert not [line for pair in block.pairs for call in pair.calls for line in tools.violations(call)]


def test_people_and_catalogues_are_mixed_in(tmp_path: Path) -> None:
    people = tmp_path / "home"
    people.mkdir()
    tools = [
        {"name": f"lamp_{i}", "description": "Lamp.", "parameters": {"properties": {"room_name": {"type": "string"}}}}
        for i in range(9)
    ]
    (people / "tools.json").write_text(json.dumps(tools))
    rows = [
        {
            "messages": [{"role": "user", "content": f"light in room {i}"}],
            "calls": [{"name": f"lamp_{i % 9}", "arguments": {"room_name": f"room {i}"}}],
        }
        for i in range(30)
    ]
    (people / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "catalogue.jsonl").write_text("\n".join([*map(json.dumps, tools), '{"parameters": {}}']))
    (tmp_path / "dev.jsonl").write_text(
        json.dumps({**rows[3], "messages": [{"role": "user", "content": "Light in room 3!"}]})
    )
    assert len(Sources.read([], [people], [tmp_path / "dev.jsonl"]).cases[0][1]) == 29, "what is scored on is left out"
    sources = Sources.read([tmp_path / "catalogue.jsonl"], [people])
    assert len(sources.tools) == 9 and len(sources.cases[0][1]) == 30
    corpus = Corpus(sources, 3)
    for _ in range(20):
        block = corpus._people()
        known = {tool.name for tool in block.tools}
        for pair in block.pairs:
            for call in pair.calls:
                assert call.name in known | {"no_tool"}
                assert all(str(value).lower() in pair.request.lower() for value in call.arguments.values())
        assert corpus._catalogue().tools


def test_written_heads_copy_before_any_training() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape: Any = {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 4, "num_key_value_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=1000, num_hidden_layers=3, tie_word_embeddings=True, **shape))
    write_copy_heads(model)
    half = torch.randint(10, 1000, (4, 60), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(torch.cat([half, half], dim=1)).logits
    right = (logits[:, 60:-1].argmax(-1) == half[:, 1:]).float().mean().item()
    assert right > 0.3


def first_loss(run: Path) -> float:
    return float(json.loads((run / "log.jsonl").read_text().splitlines()[0])["loss"])


def test_a_run_ships_a_base_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    folder = pretrain(tmp_path / "run", SMALL)
    assert folder is not None
    base = load_base(str(folder))
    assert base.renderer.form == COMPACT and base.context == 512
    assert {p.name for p in folder.iterdir()} >= {
        "model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        "recipe.json",
    }
    assert json.loads((folder / "generation_config.json").read_text())["use_cache"] is True
    first = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    warm = pretrain(tmp_path / "warm", Recipe(**{**vars(SMALL), "minutes": 0.02, "start": str(folder)}))
    assert warm is not None
    assert (warm / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    begun = [json.loads(line)["loss"] for line in (tmp_path / "warm" / "log.jsonl").read_text().splitlines()]
    assert begun[0] < first_loss(tmp_path / "run") + 0.5, "a warm start goes on from what was learnt"
    longer = Recipe(**{**vars(SMALL), "minutes": 0.1})
    pretrain(tmp_path / "run", longer)
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert (
        rows[: len(first)] == first
        and rows[-1]["step"] > first[-1]["step"]
        and rows[-1]["tokens"] > first[-1]["tokens"]
    )


def test_a_session_that_is_over_pauses_and_the_next_call_goes_on(tmp_path: Path) -> None:
    recipe = Recipe(**{**vars(SMALL), "minutes": 0.06, "session": 0.02, "workers": 2, "context": 1024})
    calls = 1
    while pretrain(tmp_path, recipe) is None:
        assert not (tmp_path / "base").exists() and (tmp_path / "checkpoint.pt").exists()
        calls += 1
    assert calls > 1
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(rows) == calls and [row["tokens"] for row in rows] == sorted({row["tokens"] for row in rows})
    started = pretrain(tmp_path / "more", Recipe(**{**vars(SMALL), "minutes": 0.01, "start": str(tmp_path / "base")}))
    assert started is not None and load_base(str(started)).context == SMALL.context


def test_workers_make_different_batches(tokenizer: Any) -> None:
    documents = Documents(Sources(), Renderer(tokenizer), size=1024, limit=512, request_weight=0.15, seed=1)
    loader = iter(torch.utils.data.DataLoader(documents, batch_size=None, num_workers=2))
    one, other = next(loader)[0], next(loader)[0]
    assert one.shape == other.shape == (1024,) and not torch.equal(one, other)


def small_llama(*, layers: int = 2) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape: Any = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 2}
    model: Any = LlamaForCausalLM(
        LlamaConfig(vocab_size=90, num_hidden_layers=layers, tie_word_embeddings=True, **shape)
    )
    return model


@settings(deadline=None, max_examples=20)
@given(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=6), seed=st.integers(0, 2**20), spare=st.integers(0, 9)
)
def test_packed_documents_are_read_as_each_by_itself(lengths: list[int], seed: int, spare: int) -> None:
    model, rng = small_llama(), random.Random(seed)
    documents = [
        ([rng.randrange(1, 90) for _ in range(n)], [0.0, *(rng.choice((0.0, 0.15, 1.0)) for _ in range(n - 1))])
        for n in lengths
    ]
    documents[0][1][-1] = 1.0  # something is told
    packed = PackedLlama(model)
    batch = pack(documents, sum(lengths) + spare)
    told, counted = torch.tensor(0.0), 0.0
    hidden, at = packed.hidden(batch), 0
    for ids, weights in documents:
        alone = model.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        torch.testing.assert_close(hidden[at : at + len(ids)], alone, atol=1e-5, rtol=1e-4)
        losses = torch.nn.functional.cross_entropy(model.lm_head(alone[:-1]), torch.tensor(ids[1:]), reduction="none")
        told, counted = told + (losses * torch.tensor(weights[1:])).sum(), counted + sum(weights)
        at += len(ids)
    torch.testing.assert_close(packed.loss(batch), told / counted, atol=1e-5, rtol=1e-4)


def test_a_batch_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="3 tokens do not fit into 2"):
        pack([([1, 2, 3], [0.0, 0.0, 1.0])], 2)


def test_muon_steps_as_the_reference_does() -> None:
    ours, theirs = ([p.detach().clone() for p in small_llama().parameters() if p.dim() == 2] for _ in range(2))
    reference: Any = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.0)
    muon = Muon(ours)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        muon.step(0.02)
        reference.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=0)  # bf16 products in another order


def test_a_block_is_split_into_documents_that_begin_with_its_tools(tokenizer: Any) -> None:
    block = next(b for b in Corpus(Sources(), 3) if b.shown and len(b.pairs) >= 6)
    renderer = Renderer(tokenizer)
    documents = list(split(block, renderer, random.Random(1), limit=20_000, request_weight=0.15))
    assert len(documents) > 1
    whole = encode(block, renderer, limit=20_000, request_weight=0.15)
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    head = whole[0][: whole[0].index(end) + 1]
    assert all(ids[: len(head)] == head for ids, _ in documents)
    told = [[token for token, weight in zip(*part, strict=True) if weight == 1.0] for part in documents]
    assert sum(told, []) == [token for token, weight in zip(*whole, strict=True) if weight == 1.0]


def test_batches_are_read_again_only_where_none_is_ready_and_not_without_end() -> None:
    gate = threading.Event()

    def batches() -> Iterator[Any]:
        yield pack([([1, 2], [0.0, 1.0])], 2)
        gate.wait(20)
        yield pack([([3, 4], [0.0, 1.0])], 2)
        raise OSError("disk full")

    feed = Feed(batches(), replays=2)
    assert [feed.next().ids[0].item() for _ in range(3)] == [1, 1, 1] and feed.again == 2
    gate.set()
    assert feed.next().ids[0].item() == 3, "one read as often as it may be is not read again: it waits"
    with pytest.raises(OSError, match="disk full"):
        for _ in range(4):
            feed.next()
    assert feed.read == 2


def test_long_rows_hold_many_tools() -> None:
    blocks = [block for block, _ in zip(Corpus(Sources(), 1, longest=4096), range(60), strict=False)]
    assert max(len(block.tools) for block in blocks) == 40
    assert max(len(block.tools) for block, _ in zip(Corpus(Sources(), 1), range(40), strict=False)) <= 10


def test_turns_before_a_request_are_written_as_the_template_writes_them() -> None:
    builtin = load_base("builtin")

    tools = tool_set(invent_tools(random.Random(4), 3))
    maker = Synthesizer(tools, random.Random(5))
    single = maker.pair("call")
    pairs = [pair for pair in (maker.pair("turns") for _ in range(12)) if len(pair.messages) > 1]
    assert pairs
    for pair in pairs:
        ids, weights = encode(Block(tools, False, (single, pair)), builtin.renderer, limit=4000, request_weight=0.5)
        answer = {"role": "assistant", "content": builtin.renderer.completion(single.calls, tools)}
        whole = builtin.renderer.prompt([*single.messages, answer, *pair.messages])
        assert ids[: len(whole)] == whole and len(weights) == len(ids)
        told = [builtin.tokenizer.encode(one.request, add_special_tokens=False) for one in (single, pair)]
        assert sum(weight == 0.5 for weight in weights) == sum(map(len, told))  # what was said before is no target


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**20), apart=st.booleans())
def test_other_talk_leaves_calls_and_their_evidence_in_place(seed: int, apart: bool) -> None:
    rng = random.Random(seed)
    maker = Synthesizer(tool_set(invent_tools(rng, 2)), rng)
    pair = maker.pair(rng.choice(("call", "turns", "parallel")))
    told = among_talk(pair, ["i lost my card", "Where is it?"], rng, apart=apart)
    assert told.calls == pair.calls and told.messages[-1]["role"] == "user"
    assert all(part in told.said for part in pair.said.split("\n"))
    for before, after in zip(pair.evidence, told.evidence, strict=True):
        assert told.said[after.start : after.end] == pair.said[before.start : before.end] or before.start < 0
    assert not apart or pair.request in told.request


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**20))
def test_tools_in_namespaces_are_called_by_their_names(seed: int) -> None:
    rng = random.Random(seed)
    tools = invent_tools(rng, 3)
    maker = Synthesizer(tool_set(tools), rng)
    pairs = [maker.pair(kind) for kind in ("call", "ask", "no_tool", "turns", "parallel")]
    named, turned = in_namespaces(tools, pairs, rng)
    known = tool_set(named)
    names = dict(zip([tool.name for tool in tools], [tool.name for tool in named], strict=True))
    for before, after in zip(pairs, turned, strict=True):
        assert [names.get(call.name, call.name) for call in before.calls] == [call.name for call in after.calls]
        assert not [line for call in after.calls if call.name in known for line in known.violations(call)]
        assert [c.arguments.get("tool") for c in after.calls if c.name == "ask"] == [
            names[str(c.arguments["tool"])] for c in before.calls if c.name == "ask"
        ]
