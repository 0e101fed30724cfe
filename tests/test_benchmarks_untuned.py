"""What bases do untuned: every point once, kept as it comes, drawn against tokens."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from schematune.benchmarks.untuned import main, per_doubling


def cases(path: Path, broken: bool) -> Path:
    """Write cases with tools of their own, one of which cannot be used where `broken`."""
    song = {
        "type": "function",
        "function": {"name": "play", "parameters": {"type": "object", "properties": {"song": {"type": "string"}}}},
    }
    bad = {"type": "function", "function": {"name": "play", "parameters": {"type": 7}}}
    rows = [{"messages": [{"role": "user", "content": "play Help"}], "tools": [song], "calls": [{"name": "play", "arguments": {"song": "Help"}}]},
            {"messages": [{"role": "user", "content": "how are you"}], "tools": [bad if broken else song], "calls": []}]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_each_base_answers_each_set_once(
    tmp_path: Path, tiny_folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    base = str(tiny_folder("builtin"))
    sets = [str(cases(tmp_path / "whole.jsonl", False)), str(cases(tmp_path / "part.jsonl", True))]
    given = ["--bases", base, "--cases", *sets, "--device", "cpu", "--quiet", "--out", str(tmp_path / "out")]
    assert main([*given, "--tokens", "3.5", "--plot", str(tmp_path / "curve.png")]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(point["set"].split("/")[1], point["cases"], point["skipped"]) for point in found["points"]] == [
        ("whole", 2, 0),
        ("part", 1, 1),
    ]
    assert all(
        point["tokens"] == 3.5e6 and 0 <= point["exact"] <= 1 and 0 <= point["free_valid"] <= 1
        for point in found["points"]
    )
    assert found["points"][0]["no_tool_right"] is not None and found["per_doubling"] == {}
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    kept = (tmp_path / "out" / "points.jsonl").read_bytes()
    assert main([*given, "--tokens", "7"]) == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [{**point, "tokens": 3.5e6} for point in again["points"]] == found["points"]
    assert (tmp_path / "out" / "points.jsonl").read_bytes() == kept
    assert main([*given, "--tokens", "7", "8"]) == 1 and "as many as --bases" in capsys.readouterr().err


def test_slopes_are_of_the_last_two_bases_of_each_set() -> None:
    points = [{"set": name, "tokens": tokens, "exact": exact} for name, tokens, exact in
              (("a", 1e6, 0.0), ("a", 2e6, 0.3), ("a", 8e6, 0.5), ("b", 2e6, 0.1), ("c", 0, 0.1))]  # fmt: skip
    assert per_doubling(points) == {"a": 0.1}
