"""The sweep: settings are tried on examples held out, and bad ones are named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from schematune.benchmarks.sweep import main, read_setting
from schematune.schemas.errors import ExampleError

SONG = {"name": "play", "parameters": {"properties": {"song": {"type": "string"}}, "required": ["song"]}}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Write tools and twenty examples; one request stands twice."""
    (tmp_path / "tools.json").write_text(json.dumps([SONG]))
    songs = ["Oslo", "Blue Moon", "Rain", "Oslo", *(f"Song {n}" for n in range(16))]
    rows = [
        {"messages": [{"role": "user", "content": f"play {s}"}], "calls": [{"name": "play", "arguments": {"song": s}}]}
        for s in songs
    ]
    (tmp_path / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["--tools", str(tmp_path / "tools.json"), "--examples", str(tmp_path / "examples.jsonl")]


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_each_setting_is_scored_on_what_was_held_out(
    files: list[str], tiny_folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["--base", str(tiny_folder("builtin")), "--device", "cpu", "--quiet", "--held-out", "6"]
    sets = ["--set", "epochs=1,rank=4", "--set", "epochs=1,rank=4,pairs=10,reorder=false"]
    assert main([*files, *base, *sets]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["benchmark"] == "sweep" and found["held_out"] == 6
    plain, more = found["tried"]
    assert (
        plain["set"] == {"epochs": 1, "rank": 4} and 13 <= plain["pairs"] <= 14 and more["pairs"] >= plain["pairs"] + 8
    )
    assert plain["valid"] == 1.0 and 0 <= plain["exact"] <= 1 and plain["tuning_s"] > 0
    assert found["best"] in (plain["set"], more["set"])


def test_what_is_wrong_is_said(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExampleError, match="'rank' is no option"):
        read_setting("epochs=1,rank")
    assert main([*files, "--held-out", "20"]) == 1 and "hold out fewer" in capsys.readouterr().err
    assert main([*files, "--held-out", "6", "--fold", "9"]) == 1 and "fold 9" in capsys.readouterr().err
