"""Teach a small model your schemas, then take them out of the prompt.

    import schematune as st

    tools = st.ToolSet("tools.json")
    pairs = st.synthesize(tools, 2000, examples="ours.jsonl")
    adapter = st.tune(tools, pairs)
    caller = st.Caller(adapter)
    answer = caller("a table for two on Friday at eight", context={"now": "2026-11-22T10:00+00:00"})

The value types load at once; what needs a model loads torch when it is first used.

>>> import schematune as st
>>> st.Call("add", {"a": 1}).json()
'{"name":"add","arguments":{"a":1}}'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from schematune.schemas.call import Answer, Call, Score, Usage
from schematune.schemas.errors import (
    ContractError,
    DecodeError,
    DriftError,
    ExampleError,
    InvalidOutputError,
    ModelError,
    PromptTooLongError,
    RenderError,
    SchemaError,
    SchematuneError,
    TeacherError,
    TruncatedError,
    TuneError,
)
from schematune.schemas.mcp_server import McpServer
from schematune.schemas.pair import Evidence, Pair, Pairs
from schematune.schemas.privacy import Scrubber
from schematune.schemas.synthesize import synthesize
from schematune.schemas.teacher import Teacher
from schematune.schemas.tool import Tool, ToolSet

if TYPE_CHECKING:
    from schematune.benchmarks.compare import Report, compare
    from schematune.decoding.adapter import Adapter
    from schematune.decoding.agent import ToolRun, arun_tools, run_tools
    from schematune.decoding.base import Base, load_base
    from schematune.decoding.caller import Caller
    from schematune.decoding.callers import Callers
    from schematune.decoding.fake import FakeCaller
    from schematune.decoding.remote import RemoteCaller
    from schematune.decoding.rows import Sampling
    from schematune.decoding.structured import Structured, structured
    from schematune.trainer.tune import tune

__all__ = [
    "Adapter",
    "Answer",
    "Base",
    "Call",
    "Caller",
    "Callers",
    "ContractError",
    "DecodeError",
    "DriftError",
    "Evidence",
    "ExampleError",
    "FakeCaller",
    "InvalidOutputError",
    "McpServer",
    "ModelError",
    "Pair",
    "Pairs",
    "PromptTooLongError",
    "RenderError",
    "RemoteCaller",
    "Report",
    "Sampling",
    "SchemaError",
    "SchematuneError",
    "Score",
    "Scrubber",
    "Structured",
    "Teacher",
    "TeacherError",
    "Tool",
    "ToolRun",
    "ToolSet",
    "TruncatedError",
    "TuneError",
    "Usage",
    "arun_tools",
    "compare",
    "load_base",
    "run_tools",
    "structured",
    "synthesize",
    "tune",
]

__version__ = "0.1.0"

_LATER = {
    "Adapter": "schematune.decoding.adapter",
    "Base": "schematune.decoding.base",
    "Caller": "schematune.decoding.caller",
    "Callers": "schematune.decoding.callers",
    "FakeCaller": "schematune.decoding.fake",
    "RemoteCaller": "schematune.decoding.remote",
    "Report": "schematune.benchmarks.compare",
    "Sampling": "schematune.decoding.rows",
    "Structured": "schematune.decoding.structured",
    "ToolRun": "schematune.decoding.agent",
    "arun_tools": "schematune.decoding.agent",
    "compare": "schematune.benchmarks.compare",
    "load_base": "schematune.decoding.base",
    "run_tools": "schematune.decoding.agent",
    "structured": "schematune.decoding.structured",
    "tune": "schematune.trainer.tune",
}


def __getattr__(name: str) -> Any:
    """Load what needs a model when it is first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module 'schematune' has no attribute {name!r}")
    value = getattr(import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
