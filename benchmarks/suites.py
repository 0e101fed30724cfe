"""Schemas with instances marked valid or invalid: MaskBench's file, and the official JSON Schema test suite."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from schematune.schemas.errors import ExampleError
from schematune.schemas.jsontext import JSON

__all__ = ["DRAFTS", "SchemaCase", "read_maskbench", "read_suite"]

DRAFTS = ("draft7", "draft2019-09", "draft2020-12")

_DIALECTS = {
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
_REMOTE = "http://localhost:1234/"
_NOTES = "format.json"


@dataclass(frozen=True)
class SchemaCase:
    """A schema, (instance, valid) pairs, the documents that are handed over with it, and whether formats are checked."""

    schema: JSON
    tests: Sequence[tuple[JSON, bool]]
    name: str = ""
    documents: Mapping[str, JSON] = field(default_factory=dict)
    formats: bool = True


def read_maskbench(path: Path) -> list[SchemaCase]:
    """Read schemas with tests; raises `ExampleError`."""
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        found = [
            SchemaCase(row["schema"], [(test["data"], test["valid"]) for test in row["tests"]], str(row.get("id", n)))
            for n, row in enumerate(rows)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = 'JSON Lines of {"schema": ..., "tests": [{"data": ..., "valid": ...}]}'
        raise ExampleError(f"no schemas can be read: {error!r}", where=str(path), fix=fix) from error
    return [case for case in found if case.tests]


def read_suite(path: Path, drafts: Sequence[str]) -> list[SchemaCase]:
    """Read the groups of the official suite, optional parts aside; raises `ExampleError`.

    The suite's `remotes`, where they stand beside `tests`, are handed over as the suite asks. Its file about formats
    tests what the drafts say by default, that they are notes: there they are not checked.
    """
    files = [file for draft in drafts for file in sorted((path / "tests" / draft).glob("*.json"))]
    if not files:
        raise ExampleError("no test suite stands here", where=str(path), fix="give the folder that holds tests/")
    remotes = {draft: _remotes(path / "remotes", draft) for draft in drafts}
    found = []
    for file in files:
        draft = file.parent.name
        for group in json.loads(file.read_text("utf-8")):
            schema = group["schema"]
            if isinstance(schema, dict):
                schema = {"$schema": _DIALECTS.get(draft, _DIALECTS["draft2020-12"]), **schema}
            tests = [(test["data"], test["valid"]) for test in group["tests"]]
            name = f"{draft}/{file.name}: {group['description']}"
            found.append(SchemaCase(schema, tests, name, remotes[draft], file.name != _NOTES))
    return found


def _remotes(folder: Path, draft: str) -> dict[str, JSON]:
    """Read the documents that every draft has, and those of this one."""
    documents = {}
    for file in sorted(folder.rglob("*.json")):
        name = file.relative_to(folder).as_posix()
        if name.split("/")[0] == draft or not name.startswith(("draft", "v1")):
            documents[_REMOTE + name] = json.loads(file.read_text("utf-8"))
    return documents
