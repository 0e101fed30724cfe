"""Tuning, for real: tiny models of every family, interruptions, full disks, and what is refused."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import FAMILIES, tiny_base

from schematune.decoding.adapter import Adapter
from schematune.decoding.caller import Caller
from schematune.decoding.prior import PRIOR
from schematune.schemas.call import Call
from schematune.schemas.errors import ModelError, SchemaError, TuneError
from schematune.schemas.pair import Pair, Pairs
from schematune.schemas.tool import ToolSet
from schematune.trainer.tune import tune

WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["city"],
    },
}
PLAY = {
    "name": "play",
    "description": "Play a song",
    "parameters": {"properties": {"song": {"type": "string"}}, "required": ["song"]},
}
CITIES = ("Oslo", "Rome", "New York", "Bergen", "Paris", "Lima")
WEIGHTS = "adapter_model.safetensors"


def _tools() -> ToolSet:
    return ToolSet([WEATHER, PLAY])


def _pairs() -> Pairs:
    def weather(city: str, days: int, **rest: Any) -> Pair:
        call = Call("get_weather", {"city": city, "days": days})
        return Pair.of(f"weather in {city} for {days} days", [call], source="example:f.jsonl:1", **rest)

    train = [weather(city, days) for city in CITIES for days in (1, 2, 3)]
    train += [Pair.of(f"play {city} please", [Call("play", {"song": city})], source="synthetic") for city in CITIES]
    return Pairs([*train, weather("Oslo", 7, split="dev"), weather("Rome", 9, split="test")])


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {family: tiny_base(family, folder / family) for family in FAMILIES}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The same tensors come of the same number of threads only."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _tune(base: Path, out: Path, **options: Any) -> Adapter:
    known: dict[str, Any] = {"batch_size": 4, "epochs": 4, "progress": False, "evaluate": False, "rank": 4}
    return tune(_tools(), _pairs(), base=base, out=out, **{**known, **options})


@pytest.fixture(scope="module")
def whole(bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The tensors of a run that nothing interrupts."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole") / "adapter"
    _tune(bases["builtin"], out, save_every=5)
    return load_file(out / WEIGHTS)


def _same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_saves_loads_and_calls(family: str, bases: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    adapter = _tune(bases[family], out, evaluate=True, save_every=6, epochs=3)
    contract = adapter.contract
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "adapter_config.json", WEIGHTS, "schematune.json", PRIOR,
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
    assert contract.metrics["steps"] == 18 and contract.metrics["proof"]["proved"] == 24
    assert contract.metrics["dev_cases"] == 1 and 0 <= contract.metrics["dev_exact"] <= 1
    assert contract.metrics["train_loss"] < math.log(1000)
    assert contract.data["splits"] == {"train": 24, "dev": 1, "test": 1}
    assert contract.data["sources"] == {"example": 20, "synthetic": 6}
    assert contract.spans.to_dict()["copied"] == {"get_weather": ["city", "days"], "play": ["song"]}
    caller = Caller(out, tools=_tools())
    for answer in caller.batch([pair.request for pair in _pairs()[:4]]):
        assert answer.status != "error", answer.error
        assert all(caller.tools.violations(call) == [] for call in answer.outcome())


def test_the_loss_falls_and_what_is_learnt_comes_out(bases: dict[str, Path], tmp_path: Path) -> None:
    short = _tune(bases["builtin"], tmp_path / "short", epochs=1, learning_rate=1e-6)
    out = tmp_path / "long"
    long = _tune(bases["builtin"], out, epochs=24, rank=16, batch_size=8)
    assert long.contract.metrics["train_loss"] < 0.5 * short.contract.metrics["train_loss"]
    answers = Caller(out).batch([pair.request for pair in _pairs().train])
    right = [answer.outcome() == pair.calls for answer, pair in zip(answers, _pairs().train, strict=True)]
    assert sum(right) >= 8, sum(right)


@pytest.mark.parametrize("option", ["dora", "rslora"])
def test_variants_of_lora(option: str, bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = _tune(bases["builtin"], tmp_path / "a", epochs=1, target=["q_proj", "up_proj"], lora_dropout=0.1,
                    **{option: True})  # fmt: skip
    config = json.loads((adapter.path / "adapter_config.json").read_text(encoding="utf-8"))
    assert config[f"use_{option}"] is True and config["target_modules"] == ["q_proj", "up_proj"]
    assert adapter.contract.tuning["lora"] == {"lora_dropout": 0.1}
    assert Caller(adapter).batch(["weather in Oslo"])[0].status != "error"


def test_full_tuning_writes_a_whole_model(bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = tune(_tools(), _pairs(), base=bases["gemma3"], out=tmp_path / "a", full=True, epochs=1, progress=False)
    assert adapter.contract.kind == "full" and "rank" not in adapter.contract.tuning
    assert adapter.contract.tuning["learning_rate"] == 1e-3
    before = json.loads((bases["gemma3"] / "generation_config.json").read_text(encoding="utf-8"))
    after = json.loads((adapter.path / "generation_config.json").read_text(encoding="utf-8"))
    assert after["eos_token_id"] == before["eos_token_id"] and after.get("use_cache", True) is True
    assert not list(adapter.path.glob("*.bin"))
    assert Caller(adapter).batch(["weather in Oslo"])[0].status != "error"


def _kill_at(checkpoint: Path, kill: Any) -> None:
    """Call `kill` as soon as a checkpoint is whole."""
    until = time.monotonic() + 120
    while not (checkpoint / "whole.json").exists():
        if time.monotonic() > until:
            raise TimeoutError(checkpoint)
        time.sleep(0.001)
    kill()


def test_a_killed_run_goes_on_to_the_very_same_tensors(
    bases: dict[str, Path], whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    out, partial = tmp_path / "adapter", tmp_path / ".adapter.partial"
    code = f"""
        import sys
        sys.path[:0] = {[str(Path(__file__).parent)]!r}
        import torch
        from test_trainer_tune import _tune
        torch.set_num_threads(1)
        _tune({str(bases["builtin"])!r}, {str(out)!r}, save_every=5)
    """
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)])
    _kill_at(partial / "checkpoint-10", process.kill)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists() and not (partial / "result" / "schematune.json").exists()
    (partial / "checkpoint-24").mkdir()  # as if it had been killed while writing one
    (partial / "checkpoint-24" / "adapter_config.json").write_text("{}", encoding="utf-8")
    assert _tune(bases["builtin"], out, save_every=5).contract.metrics["steps"] == 24
    assert _same(load_file(out / WEIGHTS), whole)
    assert not partial.exists()


def test_an_interrupted_run_goes_on_unless_something_changed(
    bases: dict[str, Path], whole: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, partial = tmp_path / "adapter", tmp_path / ".adapter.partial"

    def interrupt(step: int, **options: Any) -> None:
        # a shell that starts the tests in the background has them ignore Ctrl-C
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        last = partial / f"checkpoint-{step}"
        watch = threading.Thread(target=_kill_at, args=(last, lambda: os.kill(os.getpid(), signal.SIGINT)))
        watch.start()
        with pytest.raises(KeyboardInterrupt):
            _tune(bases["builtin"], out, save_every=5, **options)
            time.sleep(5)  # the signal may come a moment after the last step
        watch.join()
        signal.signal(signal.SIGINT, previous)

    interrupt(15, learning_rate=1e-2)
    kept = [path.name for path in partial.iterdir() if path.name != "run.json"]
    assert "checkpoint-15" in kept and "result" not in kept
    interrupt(5, progress=True)  # the other run's was removed
    assert "an interrupted run is not gone on with (its tools" in capsys.readouterr().err
    _tune(bases["builtin"], out, save_every=5, progress=True)
    assert "not gone on" not in capsys.readouterr().err
    assert _same(load_file(out / WEIGHTS), whole)


def test_a_full_disk_is_one_error_and_the_old_adapter_stands(bases: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    old = _tune(bases["builtin"], out, epochs=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # a file that grows larger fails, as on a full disk
    try:
        with pytest.raises(TuneError, match="cannot be written.*free some space"):
            _tune(bases["builtin"], out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
    assert Adapter.load(out).contract == old.contract
    assert _tune(bases["builtin"], out, epochs=2).contract.tuning["epochs"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_loss_that_is_no_number_stops_the_run(bases: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(TuneError, match="the loss is (nan|inf).*lower learning_rate"):
        _tune(bases["builtin"], tmp_path / "a", learning_rate=1e30)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, r"tune\(rank=0\): must be a whole number"),
        ({"learning_rate": float("nan")}, r"tune\(learning_rate=nan\): must be a number above 0"),
        ({"epochs": -1}, "epochs=-1"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"save_every": 0}, "save_every=0"),
        ({"target": []}, "target="),
        ({"lora_rank": 3}, r"tune\(lora_rank=...\): no such option"),
        ({"lora_alpha": 3}, "it is alpha= here"),
        ({"full": True}, "rank does nothing with full=True"),
        ({"target": "nowhere"}, "cannot start: .*nowhere"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str, bases: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(TuneError, match=message):
        _tune(bases["builtin"], tmp_path / "a", **options)
    assert list(tmp_path.iterdir()) == []


def test_wrong_inputs_are_refused_before_anything_is_written(bases: dict[str, Path], tmp_path: Path) -> None:
    out, base, tools = tmp_path / "a", bases["builtin"], _tools()
    with pytest.raises(TuneError, match="no pair to train on among 0"):
        tune(tools, [], base=base, out=out)
    with pytest.raises(TuneError, match="no pair to train on among 1"):
        tune(tools, _pairs().dev, base=base, out=out)
    with pytest.raises(TuneError, match="round-trip proof: 1 of 1 pairs.*nope: no such tool"):
        tune(tools, [Pair.of("x", [Call("nope")])], base=base, out=out)
    with pytest.raises(ModelError, match="no such folder"):
        tune(tools, _pairs(), base=tmp_path / "gone", out=out)
    with pytest.raises(SchemaError, match="without a name"):
        tune([{"name": ""}], _pairs(), base=base, out=out)
    assert list(tmp_path.iterdir()) == []


def test_pairs_that_fail_are_dropped_and_counted(bases: dict[str, Path], tmp_path: Path) -> None:
    pairs = [*_pairs(), Pair.of("x", [Call("nope")])]
    adapter = tune(_tools(), pairs, base=bases["builtin"], out=tmp_path / "a", epochs=1, progress=False)
    assert adapter.contract.metrics["proof"]["failed"] == {"invalid": 1}
    assert adapter.contract.metrics["proof"]["proved"] == 24


def test_functions_stay_bound(bases: dict[str, Path], tmp_path: Path) -> None:
    def ping(host: str) -> str:
        """Ping a host."""
        return f"pong {host}"

    pairs = [Pair.of(f"ping {city}", [Call("ping", {"host": city})]) for city in CITIES]
    adapter = tune([ping], pairs, base=bases["builtin"], out=tmp_path / "a", epochs=1, progress=False)
    function = adapter.tools["ping"].function
    assert function is not None and function(host="x") == "pong x"
