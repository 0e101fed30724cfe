"""What every caller is called as: one request, many, or either of them in a thread."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from schematune.decoding.asked import Request
from schematune.schemas.call import Answer
from schematune.schemas.jsontext import JSON

__all__ = ["Calling"]


class Calling(ABC):
    """Answers requests: a `Caller`, a `RemoteCaller`, a `FakeCaller`. Each has a `batch` of its own."""

    def __call__(
        self,
        request: Request,
        *,
        context: Mapping[str, str] | None = None,
        permit: Sequence[str] | None = None,
        bound: Mapping[str, JSON] | None = None,
        choice: str = "auto",
        parallel: bool = True,
    ) -> Answer:
        """Answer one request.

        `context` is what the program knows (now, time zone, locale); `permit` restricts the tools for this
        call; `bound` gives the arguments that the model never sees; `choice` is `"auto"`, `"required"`,
        `"none"` or a tool's name; without `parallel` there is one call at most. Raises `DecodeError`
        (`PromptTooLongError`, `TruncatedError`, `InvalidOutputError`), `RenderError` for messages or a context that
        cannot be rendered, and `SchemaError` for names that are not known.
        """
        [answer] = self.batch(
            [request], contexts=[context], permits=[permit], bound=bound, choice=choice, parallel=parallel, size=1
        )
        if answer.error is not None:
            raise answer.error
        return answer

    @abstractmethod
    def batch(
        self,
        requests: Sequence[Request],
        *,
        contexts: Sequence[Mapping[str, str] | None] | None = None,
        permits: Sequence[Sequence[str] | None] | None = None,
        bound: Mapping[str, JSON] | None = None,
        choice: str = "auto",
        parallel: bool = True,
        size: int = 16,
    ) -> list[Answer]:
        """Answer many requests, `size` at a time, in their order.

        A request that fails is an answer with status `"error"` in its place. Raises `DecodeError` only where
        the lists differ in length, and `SchemaError` for a bound argument that no tool has.
        """

    async def acall(self, request: Request, **options: Any) -> Answer:
        """Answer one request in a thread, see `__call__`."""
        return await asyncio.to_thread(self.__call__, request, **options)

    async def abatch(self, requests: Sequence[Request], **options: Any) -> list[Answer]:
        """Answer many requests in a thread, see `batch`."""
        return await asyncio.to_thread(self.batch, requests, **options)
