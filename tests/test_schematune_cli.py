"""The command line, run as a user runs it: in a process of its own, on a tiny base made on the spot."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from schematune import Pairs, ToolSet

TOOLS = [
    {
        "name": "set_lamp",
        "description": "Set a lamp.",
        "parameters": {
            "type": "object",
            "properties": {
                "room": {"type": "string", "minLength": 1},
                "level": {"type": "integer", "minimum": 0, "maximum": 9},
            },
            "required": ["room"],
        },
    },
    {"name": "get_time", "description": "Get the time.", "parameters": {"type": "object", "properties": {}}},
]


def run(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "schematune", *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps(TOOLS))
    return path


def test_synth_tune_call_compare(tmp_path: Path, tools: Path, tiny_folder: Callable[[str], Path]) -> None:
    base, pairs, adapter = tiny_folder("builtin"), tmp_path / "pairs.jsonl", tmp_path / "adapters" / "lamps"
    done = run("synth", "--tools", tools, "--pairs", "40", "--out", pairs)
    assert done.returncode == 0 and "40 pairs" in done.stderr
    assert len(Pairs.load(pairs)) == 40
    done = run(
        "tune",
        "--tools",
        tools,
        "--pairs",
        pairs,
        "--base",
        base,
        "--out",
        adapter,
        "--epochs",
        "0.5",
        "--batch-size",
        "10",
        "--rank",
        "4",
    )
    assert done.returncode == 0, done.stderr
    assert (adapter / "adapter_model.safetensors").is_file() and (adapter / "schematune.json").is_file()
    done = run("call", adapter, "lamp in the hall to 4")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] in ("called", "ask", "no_tool") and answer["prompt_tokens"] < 40
    done = run("call", adapter, "-", stdin="lamp in the hall\n\nwhat time is it\n")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 2
    cases = tmp_path / "cases.jsonl"
    cases.write_text(
        json.dumps(
            {
                "id": "1",
                "messages": [{"role": "user", "content": "time?"}],
                "calls": [{"name": "get_time", "arguments": {}}],
            }
        )
    )
    done = run(
        "compare", adapter, "--cases", cases, "--arms", "long+grammar,tuned+grammar", "--out", tmp_path / "out.html"
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout.splitlines()[-1])["arms"]) == {"long+grammar", "tuned+grammar"}
    assert "<html" in (tmp_path / "out.html").read_text()


def test_call_without_an_adapter_puts_the_tools_into_the_prompt(
    tools: Path, tiny_folder: Callable[[str], Path]
) -> None:
    done = run("call", "hello", "--tools", tools, "--base", tiny_folder("builtin"))
    assert done.returncode == 0, done.stderr
    assert all(call["name"] in ToolSet(tools) for call in json.loads(done.stdout)["calls"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synth", "--tools", "absent.json", "--out", "x"], "absent.json: cannot be read"),
        (["synth", "--tools", "{tools}", "--out", "x", "--examples", "none.jsonl"], "none.jsonl: cannot be read"),
        (["synth", "--tools", "{tools}", "--out", "/proc/none/x"], "schematune: /proc/none"),
        (["tune", "--tools", "{tools}", "--pairs", "{tools}", "--out", "x"], "tools.json:1: no pair"),
        (["call", "absent-adapter", "hi"], "absent-adapter"),
        (["call", "hi"], "give an adapter"),
    ],
)
def test_mistakes_get_one_line_and_status_2(tmp_path: Path, tools: Path, arguments: list[str], message: str) -> None:
    done = run(*[argument.replace("{tools}", str(tools)) for argument in arguments])
    assert done.returncode == 2, done.stderr
    assert message in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_doctor_says_what_works(tiny_folder: Callable[[str], Path]) -> None:
    done = run("doctor", "--base", tiny_folder("builtin"))
    assert done.returncode == 0, done.stdout
    assert "torch" in done.stdout and "decoding under the grammar" in done.stdout
    done = run("doctor", "--base", "/nonexistent/base")
    assert done.returncode == 1 and "BAD " in done.stdout and "->" in done.stdout
