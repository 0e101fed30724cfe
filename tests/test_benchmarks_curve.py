"""The learning curve: every point once, kept as it comes, and a page to look at."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schematune import ExampleError
from schematune.benchmarks.cases import read_cases, tools_in
from schematune.benchmarks.curve import _unseen, main, page, runs
from schematune.schemas.pair import read_examples

SONG = {"name": "play", "parameters": {"properties": {"song": {"type": "string"}}, "required": ["song"]}}


def rows(songs: list[str]) -> str:
    made = [
        {"messages": [{"role": "user", "content": f"play {s}"}], "calls": [{"name": "play", "arguments": {"song": s}}]}
        for s in songs
    ]
    return "".join(json.dumps(row) + "\n" for row in made)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_points_are_measured_once_and_kept(
    tmp_path: Path, tiny_folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tools.json").write_text(json.dumps([SONG]))
    (tmp_path / "train.jsonl").write_text(rows([f"Song {n}" for n in range(8)] + ["Rain"]))
    (tmp_path / "dev.jsonl").write_text(rows(["Oslo", "Rain", "Blue Moon"]))
    files = [x for name in ("tools.json", "train.jsonl", "dev.jsonl") for x in ("--x", str(tmp_path / name))]
    files[::2] = ["--tools", "--examples", "--cases"]
    given = [
        *files,
        "--base",
        str(tiny_folder("builtin")),
        "--device",
        "cpu",
        "--quiet",
        "--out",
        str(tmp_path / "out"),
    ]
    sizes = ["--sizes", "0", "5", "all", "--seeds", "1", "--pairs", "8", "--read", "16"]
    assert main([*given, *sizes]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["benchmark"] == "curve" and found["cases"] == 3
    ran = [(point["examples"], point["synthesis"]) for point in found["points"]]
    assert ran == [(0, True), (5, True), (5, False), (8, True), (8, False)]  # "play Rain" is a case: no example
    assert all(0 <= point[name] <= 1 for point in found["points"] for name in ("valid", "tool", "exact"))
    kept = tmp_path / "out" / "points.jsonl"
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join(lines[:-1]) + "\n")  # cut off before the last point
    assert main([*given, *sizes]) == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again["points"][:4] == found["points"][:4] and len(kept.read_text().splitlines()) == 5
    shown = (tmp_path / "out" / "curve.html").read_text()
    assert "<svg" in shown and "examples alone" in shown
    assert main([*given, *sizes[:-1], "99"]) == 1 and "other settings" in capsys.readouterr().err


def test_cases_of_tools_without_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    brought = [{**json.loads(line), "tools": [SONG]} for line in rows(["Rain", "Oslo"]).splitlines()]
    halt: Any = {"messages": [{"role": "user", "content": "halt"}], "calls": [{"name": "halt", "arguments": {}}]}
    halt["tools"] = [SONG, {"name": "halt", "parameters": {"type": "object", "properties": {}}}]
    for name, made in (("train", brought[:1]), ("dev", [*brought[1:], halt])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    files = tmp_path / "train.jsonl", tmp_path / "dev.jsonl"
    tools = tools_in(*files)
    assert tools.names == ("play", "halt")
    known = read_examples(files[0], tools)
    assert [case.pair.request for case in _unseen(read_cases(files[1], tools), known)] == ["halt"]
    given = ["--examples", str(files[0]), "--cases", str(files[0]), "--unseen", "--out", str(tmp_path / "out")]
    assert main(given) == 1 and "--unseen" in capsys.readouterr().err
    files[0].write_text(json.dumps({**brought[0], "tools": [{**SONG, "description": "Sing."}]}))
    with pytest.raises(ExampleError, match="another tool"):
        tools_in(*files)


def test_runs_and_their_page() -> None:
    wanted = list(runs(["0", "100", "all"], 60, 2))
    assert wanted[:3] == [(0, True, 0), (60, True, 0), (60, False, 0)] and len(wanted) == 6
    points = [
        {"examples": n, "synthesis": s, "seed": seed, "valid": 1.0, "tool": 0.5, "exact": 0.25} for n, s, seed in wanted
    ]
    shown = page(points, {"base": "<b>"}, 7)
    assert "&lt;b&gt;" in shown and shown.count("25.0 %") == 3 and "7 cases" in shown
