"""Live MCP servers: a real one is started, over its standard input and output and over HTTP on loopback."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schematune import McpServer, ToolSet
from schematune.schemas.call import Answer, Call
from schematune.schemas.errors import DecodeError, SchemaError

SERVER = '''
import sys
from mcp.server.mcpserver import MCPServer

server = MCPServer("shop", log_level="CRITICAL")

@server.tool()
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b

@server.tool()
def greet(name: str) -> str:
    """Greet somebody."""
    if name == "nobody":
        raise ValueError("there is nobody")
    return f"hello {name}"

if len(sys.argv) > 1:
    server.run("streamable-http", port=int(sys.argv[1]))
else:
    server.run()
'''


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the server's program."""
    path = tmp_path_factory.mktemp("mcp") / "shop server.py"
    path.write_text(SERVER)
    return path


@pytest.fixture(scope="module")
def url(program: Path) -> Iterator[str]:
    """Run the server over HTTP and return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, str(program), str(port)], stderr=subprocess.DEVNULL) as process:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
        process.kill()


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest, program: Path) -> McpServer:
    """Return the server, by either way to it."""
    if request.param == "http":
        return McpServer(request.getfixturevalue("url"))
    return McpServer([sys.executable, str(program)])


def test_its_tools_are_a_tool_set_that_runs(server: McpServer) -> None:
    tools = ToolSet(server)
    assert tools.names == ("add", "greet") and tools["add"].required == ("a",)
    assert tools["greet"].description == "Greet somebody."
    assert ToolSet(tools.mcp()).fingerprint == tools.fingerprint
    calls = (Call("add", {"a": 2}), Call("greet", {"name": "Ada"}))
    functions = {tool.name: tool.function for tool in tools if tool.function}
    assert Answer.of(calls, functions=functions).run() == [3, "hello Ada"]
    with pytest.raises(DecodeError, match="greet failed"):
        server.call("greet", {"name": "nobody"})


def test_it_answers_inside_an_event_loop(program: Path) -> None:
    async def ask() -> ToolSet:
        return ToolSet(McpServer([sys.executable, str(program)]))

    assert asyncio.run(ask()).names == ("add", "greet")


def test_what_is_no_server_is_said(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="give a URL or a command line"):
        McpServer("")
    for broken in ("http://127.0.0.1:9/mcp", f"{tmp_path}/absent", [sys.executable, "-c", "pass"]):
        with pytest.raises(SchemaError, match="the server cannot be asked"):
            ToolSet(McpServer(broken, timeout=20))
    with pytest.raises(DecodeError, match="failed on add"):
        McpServer("http://127.0.0.1:9/mcp", timeout=20).call("add", {})
    sleeper = McpServer([sys.executable, "-c", "import time; time.sleep(60)"], timeout=1)
    with pytest.raises(SchemaError, match="no answer in time"):
        sleeper.tools()
    assert "time.sleep" in repr(sleeper)
