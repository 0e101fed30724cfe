"""A live MCP server as a source of tools: what it lists, and functions that call it.

The server is asked through the official `mcp` package (the extra `schematune[mcp]`), over Streamable HTTP or over
the standard input and output of a program that is started for it. Nothing is kept open: each question starts anew.
"""

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from schematune.schemas.errors import DecodeError, SchemaError
from schematune.schemas.jsontext import JSON

__all__ = ["McpServer"]


class McpServer:
    """An MCP server: a URL, or the command line (a text or its words) of a program that speaks MCP.

    Stands among the sources of a `ToolSet`; the tools that it lists come with functions, so that `Answer.run` calls
    the server. `timeout` is in seconds, for each question::

        tools = ToolSet([get_weather, McpServer("http://127.0.0.1:8000/mcp"), McpServer("python server.py")])
    """

    def __init__(self, target: str | Sequence[str], *, timeout: float = 60.0) -> None:
        """See the class; nothing is asked yet."""
        self.url = target if isinstance(target, str) and target.startswith(("http://", "https://")) else ""
        self.command = [] if self.url else shlex.split(target) if isinstance(target, str) else list(target)
        self.timeout = timeout
        if not self.url and not self.command:
            raise SchemaError("no MCP server", where="McpServer", fix="give a URL or a command line")

    def __repr__(self) -> str:
        """Show where the server is."""
        return f"McpServer({self.url or shlex.join(self.command)!r})"

    def tools(self) -> list[dict[str, JSON]]:
        """Ask for the tools, in MCP's form, all pages of them; raises `SchemaError` where the server fails."""

        async def listed(client: Any) -> list[dict[str, JSON]]:
            found: list[dict[str, JSON]] = []
            cursor = None
            while True:
                page = await client.list_tools(cursor=cursor)
                found += [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools]
                cursor = page.next_cursor
                if not cursor:
                    return found

        try:
            return list(self._ask(listed))
        except Exception as error:
            raise SchemaError(
                f"the server cannot be asked: {_reason(error)}", where=repr(self), fix="check that it runs"
            ) from error

    def call(self, name: str, arguments: dict[str, JSON]) -> JSON:
        """Call a tool and return its structured result, or else its text.

        Raises `DecodeError` where the server fails or says that the tool did.
        """

        async def called(client: Any) -> Any:
            return await client.call_tool(name, arguments)

        try:
            result = self._ask(called)
        except Exception as error:
            raise DecodeError(f"{self!r} failed on {name}: {_reason(error)}", fix="check that it runs") from error
        text = "\n".join(part.text for part in result.content if getattr(part, "type", "") == "text")
        if result.is_error:
            raise DecodeError(f"{self!r}: the tool {name} failed: {text or 'no reason given'}")
        found = result.structured_content
        if isinstance(found, dict) and set(found) == {"result"}:  # how a plain value is wrapped
            return found["result"]
        return text if found is None else found

    def function(self, name: str) -> Callable[..., JSON]:
        """Return a function of named arguments that calls a tool."""

        def function(**arguments: JSON) -> JSON:
            return self.call(name, arguments)

        function.__name__ = function.__qualname__ = name
        return function

    def _ask(self, question: Callable[[Any], Awaitable[Any]]) -> Any:
        """Connect, ask and leave, in a thread of its own: the caller may be inside an event loop."""
        try:
            from mcp import Client, StdioServerParameters
        except ImportError as error:
            raise SchemaError(
                "the package mcp is missing", where=repr(self), fix='pip install "schematune[mcp]"'
            ) from error

        async def asked() -> Any:
            program, *words = self.command or [""]
            target: Any = self.url or StdioServerParameters(command=program, args=words)
            async with asyncio.timeout(self.timeout), Client(target) as client:
                return await question(client)

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, asked()).result()


def _reason(error: BaseException) -> str:
    """Return the first reason inside an error, which may be a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
