"""What the README shows runs, on the built-in base that ships."""

import json
import re
from pathlib import Path

import pytest

import schematune as st
from schematune.benchmarks.cases import read_cases
from schematune.benchmarks.scoring import exact
from schematune.decoding.base import BUILTIN, LARGE, load_base

ROOT = Path(__file__).resolve().parent.parent
TOOLS = [
    {
        "name": "book_table",
        "description": "Book a table in a restaurant.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "people": {"type": "integer", "minimum": 1}},
            "required": ["place"],
        },
    }
]


def test_the_api_in_one_screen_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert code and example
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS))
    (tmp_path / "ours.jsonl").write_text(example[1])
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"requests": ["weather in Rome?", "table at Nopi for 3"]}
    exec(code[1].replace("2000", "120"), names)  # fewer pairs: it is to run, not to be good
    answers, adapter, report = names["answers"], names["adapter"], names["report"]
    assert isinstance(answers, list) and all(answer.status != "error" for answer in answers)
    assert isinstance(adapter, st.Adapter) and adapter.contract.base
    assert isinstance(report, st.Report) and report.arms and (tmp_path / "report.html").is_file()


def test_the_built_in_base_reads_tools_it_never_saw() -> None:
    lantern = {"room": {"type": "string"}, "level": {"type": "integer"}}
    fence = {"color": {"type": "string"}, "coats": {"type": "integer"}}
    tools = [
        {
            "name": "dim_lantern",
            "description": "Dim a lantern.",
            "parameters": {"properties": lantern, "required": ["room", "level"]},
        },
        {
            "name": "paint_fence",
            "description": "Paint a fence.",
            "parameters": {"properties": fence, "required": ["color", "coats"]},
        },
    ]
    caller = st.Caller(tools=tools, base=load_base("builtin"))
    asked = {
        "dim the lantern in room Marigold, level 7": "dim_lantern",
        "dim a lantern, room Attic, level 4": "dim_lantern",
        "can you dim the lantern, level 9, room Cellar": "dim_lantern",
        "paint the fence, color green, coats 2": "paint_fence",
        "paint a fence with color blue and 3 coats": "paint_fence",
        "please paint the fence in color white, coats: 5": "paint_fence",
    }
    answers = caller.batch(list(asked))
    chosen = [one.tool or one.calls[0].name for one in answers]  # at times it asks for the room it was told
    assert chosen == list(asked.values()), [answer.text for answer in answers]


@pytest.mark.parametrize(("name", "many", "least"), [("builtin", 80, 0.6), ("builtin-large", 25, 0.6)])
def test_the_built_in_bases_call_tools_made_up_on_the_spot(name: str, many: int, least: float) -> None:
    """Of the 400 calls of that file the base after 56 million tokens got 48.8 % right, after 78 million 51.5 %."""
    base, right = load_base(name), []
    cases = read_cases(ROOT / "benchmarks" / "procedural.jsonl")[:many]
    for start in range(0, len(cases), 5):
        pairs = [case.pair for case in cases[start : start + 5]]
        tools = st.ToolSet(cases[start].tools.openai(), parallel=False)
        answers = st.Caller(tools=tools, base=base).batch(
            [pair.messages for pair in pairs], contexts=[pair.context or None for pair in pairs]
        )
        right += [exact(one.outcome(), pair.calls, tools) for one, pair in zip(answers, pairs, strict=True)]
    assert sum(right) >= least * len(right), f"{sum(right)} of {len(right)}"


@pytest.mark.parametrize(("name", "folder", "most"), [("builtin", BUILTIN, 10), ("builtin-large", LARGE, 30)])
def test_the_built_in_bases_ship_whole(name: str, folder: Path, most: int) -> None:
    files = {path.name for path in folder.iterdir() if path.exists()}
    assert files >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        "reader.safetensors",
        "recipe.json",
    }
    assert (folder / "model.safetensors").stat().st_size < most * 10**6
    base = load_base(name)
    assert base.renderer.form.name == "compact" and not base.renderer.form.reason
    assert base.context == 8192 and base.reader is not None


def test_guides_name_what_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL))  # code has none
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
    assert "@@" not in text
