"""The house rules that a machine can check: rooms, imports, exports, packaging."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import schematune

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("schemas", "decoding", "trainer", "benchmarks")
MODULES = sorted(path for room in (*ROOMS, "schematune") for path in (ROOT / room).glob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_every_room_is_packaged() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert set(tool["packages"]) == {"schematune", *(f"schematune.{room}" for room in ROOMS)}
    assert tool["package-dir"] == {"schematune": "schematune"} | {f"schematune.{room}": room for room in ROOMS}
    for room in ROOMS:
        assert not [p for p in (ROOT / room).rglob("__init__.py") if p.parent != ROOT / room], (
            "nested packages are not mapped"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_imports_point_down(path: Path) -> None:
    allowed = ROOMS[: ROOMS.index(path.parent.name) + 1] if path.parent.name in ROOMS else ROOMS
    for name in imported(path):
        if name.startswith("schematune."):
            assert name.split(".")[1] in (*allowed, *(("cli", "doctor") if path.parent.name == "schematune" else ()))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_modules_are_short_and_say_what_they_export(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    if path.name not in ("__init__.py", "__main__.py"):
        exported = [n for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"]
        assert exported
        names = ast.literal_eval(exported[0].value)
        assert names and len(names) == len(set(names))


def test_exports_exist() -> None:
    for name in schematune.__all__:
        assert getattr(schematune, name) is not None
    with pytest.raises(AttributeError):
        schematune.nothing  # noqa: B018


def test_importing_the_package_loads_no_model_library() -> None:
    code = "import sys, schematune; print(sorted({'torch','transformers','peft','trl','datasets','outlines','matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pins_cover_the_declared_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = {
        line.split("==")[0]
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {spec.split(">")[0].split("=")[0].strip().lower() for spec in wanted}
    assert names <= pins
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text(encoding="utf-8")
