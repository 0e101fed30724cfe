"""Benchmarks of bases: their pace, and what more tokens would buy."""

import json
from pathlib import Path

import pytest

from schematune.benchmarks import learning, pace
from schematune.benchmarks.learning import Point, per_doubling, read_runs
from schematune.schemas.errors import ExampleError


def logged(folder: Path, rows: list[tuple[int, float, float]]) -> Path:
    """Write the log of a run."""
    folder.mkdir()
    lines = [
        {"step": n, "tokens": tokens, "seconds": n, "loss": loss, "held_out_calls": right}
        for n, (tokens, loss, right) in enumerate(rows)
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_tokens_of_runs_add_up_and_ends_make_the_slope(tmp_path: Path) -> None:
    one = logged(tmp_path / "one", [(1_000, 2.0, 0.05), (2_000, 1.0, 0.2)])
    two = logged(tmp_path / "two", [(1_000, 1.5, 0.1), (2_000, 0.9, 0.3)])
    points = read_runs([one, two])
    assert [point.tokens for point in points] == [1_000, 2_000, 3_000, 4_000]
    assert [point.run for point in points] == [0, 0, 1, 1]
    assert per_doubling(points) == {"last": 0.1, "all": 0.1}
    assert per_doubling(points[:2]) == {} and per_doubling([]) == {}
    assert per_doubling([*points, Point(2, 16_000, 0.5, 0.5)]) == {"last": 0.1, "all": 0.1}


def test_learning_prints_its_points_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [logged(tmp_path / name, [(1_000, 2.0, 0.1), (3_000, 1.0, 0.2)]) for name in ("a", "b")]
    assert learning.main(["--runs", *map(str, runs), "--plot", str(tmp_path / "curve.png")]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(found["points"]) == 4 and found["per_doubling"]["last"] == 0.0
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExampleError, match="no log.jsonl"):
        read_runs([tmp_path])
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "log.jsonl").write_text('{"step": 1}\n')
    assert learning.main(["--runs", str(broken)]) == 1
    assert "no line of a pretraining log" in capsys.readouterr().err


def test_pace_times_a_base_beside_the_probe(tiny_folder: object, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_folder("builtin")  # type: ignore[operator]
    assert pace.main(["--base", str(folder), "--prompt-tokens", "64", "--new-tokens", "4", "--rounds", "2"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["prompt_tokens"] == 64 and found["parameters"] > 10_000
    assert all(found[name] > 0 for name in ("ttft_ms", "ms_per_token", "probe_ms", "peak_mb"))
    assert found["ttft_probes"] == pytest.approx(found["ttft_ms"] / found["probe_ms"], rel=0.2)


def test_pace_cuts_the_prompt_to_the_context(tmp_path: Path) -> None:
    from tiny import tiny_base

    from schematune.decoding.base import load_base

    base = load_base(tiny_base("builtin", tmp_path, context=128))
    assert pace.measure(base, prompt_tokens=500, new_tokens=8, rounds=1)["prompt_tokens"] == 120


def test_pace_says_what_is_no_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pace.main(["--base", str(tmp_path / "none")]) == 1
    assert "no such folder" in capsys.readouterr().err
