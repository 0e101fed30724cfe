"""`schematune doctor`: says what of the environment works, and how to mend what does not."""

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

__all__ = ["Finding", "examine", "findings"]

Finding = tuple[bool, str, str]
"""Whether it works, what was found, and the way out where it does not."""

_PACKAGES = ("torch", "transformers", "peft", "trl", "datasets", "outlines", "llguidance", "jsonschema-rs", "pydantic")


def _python() -> Finding:
    return (
        sys.version_info >= (3, 11),
        f"Python {platform.python_version()} on {platform.machine()}",
        "use Python 3.11 or newer",
    )


def _package(name: str) -> Finding:
    try:
        return True, f"{name} {version(name)}", ""
    except PackageNotFoundError:
        return False, f"{name} is missing", f"python -m pip install {name}"


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return True, f"device: {torch.cuda.get_device_name()}", ""
    return True, f"device: CPU, {torch.get_num_threads()} threads", ""


def _engine() -> Finding:
    import llguidance

    error = llguidance.LLMatcher.validate_grammar(llguidance.LLMatcher.grammar_from_json_schema({"type": "integer"}))
    return not error, "engine: llguidance compiles a schema", f"reinstall llguidance ({error})"


def _disk() -> Finding:
    with tempfile.NamedTemporaryFile():
        free = shutil.disk_usage(".").free / 2**30
    return free > 1, f"disk: {free:.0f} GiB free here", "free at least 1 GiB"


def _base(name: str) -> Finding:
    from schematune.decoding.base import load_base

    base = load_base(name)
    size = sum(p.numel() for p in base.model.parameters()) / 1e6
    text = f"base {name}: {size:.1f}M parameters, {base.context} tokens of context, hash {base.fingerprint[:16]}"
    return True, f"{text}, {base.renderer.form.name} calls" + (", with a reader" if base.reader else ""), ""


def _decodes(name: str) -> Finding:
    from schematune.decoding.caller import Caller
    from schematune.schemas.tool import ToolSet

    tool = {"name": "set_volume", "description": "Set the volume.", "parameters": _VOLUME}
    answer = Caller(tools=ToolSet(tool), base=name)("set the volume to 7")
    return True, f"decoding under the grammar: {answer.text or answer.status} in {answer.usage.latency_ms:.0f} ms", ""


_VOLUME = {"type": "object", "properties": {"level": {"type": "integer"}}, "required": ["level"]}


def findings(base: str = "builtin") -> Iterator[Finding]:
    """Yield each finding as it is made; a check that raises is a finding too."""
    checks: list[Callable[[], Finding]] = [_python, *(lambda name=name: _package(name) for name in _PACKAGES)]
    checks += [_device, _engine, _disk, lambda: _base(base), lambda: _decodes(base)]
    for check in checks:
        try:
            yield check()
        except Exception as error:  # whatever is broken here is what the doctor is asked for
            yield (
                False,
                f"{type(error).__name__}: {error}",
                "reinstall schematune from the pinned set (constraints.txt)",
            )


def examine(base: str = "builtin") -> bool:
    """Print every finding; return whether all is well."""
    well = True
    for works, found, mend in findings(base):
        print(f"{'ok  ' if works else 'BAD '} {found}" + ("" if works else f"\n     -> {mend}"), flush=True)
        well &= works
    return well
