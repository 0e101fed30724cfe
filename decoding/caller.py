"""The `Caller`: a request in, an `Answer` of valid calls out, or a typed error.

Without an adapter the base answers with the tools in its prompt; with one, the prompt is the request alone.
Every output, constrained or free, is parsed and validated before it leaves, and a row of a batch that fails
is an answer that carries its error. One thread at a time decodes best; the async twins only keep an event
loop free.
"""

import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import torch
from rapidfuzz import fuzz, process, utils

from schematune.decoding.adapter import Adapter, serving_base, toolset_of
from schematune.decoding.asked import (
    Asked,
    Request,
    Row,
    answered,
    bound_values,
    checked,
    chosen_tools,
    groups_of,
    messages_of,
    rows_of,
)
from schematune.decoding.base import Base, load_base
from schematune.decoding.bias import CallBias
from schematune.decoding.calling import Calling
from schematune.decoding.drafts import Habits
from schematune.decoding.grammar import Grammar
from schematune.decoding.joined import advised
from schematune.decoding.loop import RETRY_TOKENS, Prefix, decode
from schematune.decoding.mend import Cuts, mended
from schematune.decoding.rows import Decoded, Sampling
from schematune.decoding.scores import score_of, scores_of
from schematune.decoding.stream import Piece, Progress, Run, astreamed, streamed
from schematune.schemas.call import RESERVED, Answer, Call, Usage
from schematune.schemas.errors import (
    DecodeError,
    InvalidOutputError,
    PromptTooLongError,
    RenderError,
    SchemaError,
    SchematuneError,
    TruncatedError,
)
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Message, Pair, heard_in, said_in
from schematune.schemas.tool import ToolSet

__all__ = ["Caller", "Request", "answers_of"]

_LEAST_PREFIX = 8
_MOST_PREFIXES = 4


class Caller(Calling):
    """Answers requests with calls of a set of tools.

    `adapter` is the folder of a tuned adapter (or a loaded one); without it, `tools` are needed and the base
    (`base`, the built-in one by default) finds them in its prompt. With an adapter, `tools` binds functions
    by name and must be the tools it was tuned on. `constrained` decodes behind the grammar; `prompt` is
    `"short"` with an adapter and `"long"` without, or what is said here. `shots` are pairs shown in the
    prompt, all or the `nearest` to the request. `cache_prefix` computes what prompts have in common once.
    `sampling` draws tokens in place of taking the likeliest; each request of a batch draws by the same seed. `engine`
    is one of `schematune.decoding.engines.ENGINES`; another than llguidance forces no tokens and copies no spans.
    `retry_tokens` is how many tokens of an output may be taken back where values do not fit what the grammar cannot hold.
    `merge` puts the adapter into the weights. Raises `ModelError`, `ContractError`, `DriftError` (other
    tools than the adapter's) and `SchemaError`.

    A caller is called with a request::

        caller = Caller("adapters/bookings", tools=[get_weather, BookTable])
        answer = caller("a table for two at Nopi on Friday", context={"now": "2026-11-22T10:00+00:00"})
        answer.calls
    """

    def __init__(
        self,
        adapter: str | Path | Adapter | None = None,
        *,
        tools: Any = None,
        base: str | Path | Base | None = None,
        constrained: bool = True,
        prompt: Literal["short", "long"] | None = None,
        shots: Sequence[Pair] = (),
        nearest: int = 0,
        cache_prefix: bool = False,
        max_new_tokens: int = 512,
        sampling: Sampling | None = None,
        engine: str = "llguidance",
        retry_tokens: int = RETRY_TOKENS,
        device: str = "auto",
        merge: bool = True,
    ) -> None:
        """See the class."""
        if prompt not in (None, "short", "long"):
            raise RenderError(f"there is no prompt {prompt!r}", fix='"short" or "long"')
        self.adapter = Adapter.load(adapter) if isinstance(adapter, str | Path) else adapter
        self.spans = self.adapter.contract.spans if self.adapter and engine == "llguidance" else None
        if self.adapter is not None:
            self.tools = self.adapter.rebound(toolset_of(tools, self.adapter.contract))
            self.base = serving_base(self.adapter, base, device=device, merge=merge)
        elif tools is None:
            raise SchemaError("neither an adapter nor tools", where="Caller", fix="give an adapter, or tools=...")
        else:
            self.tools = tools if isinstance(tools, ToolSet) else ToolSet(tools)
            self.base = base if isinstance(base, Base) else load_base(base or "builtin", device=device)
        self.prompt = prompt or ("short" if self.adapter else "long")
        self.constrained, self.max_new_tokens, self.sampling = constrained, max_new_tokens, sampling
        self.engine, self.retry_tokens = engine, retry_tokens
        self.shots, self.nearest, self.cache_prefix = tuple(shots), nearest, cache_prefix
        self._habits = Habits()
        self._prefixes: OrderedDict[Any, Prefix | None] = OrderedDict()

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
        rows, values = rows_of(requests, contexts, permits), bound_values(self.tools, bound or {})
        return answers_of([(self, row, values) for row in rows], choice=choice, parallel=parallel, size=size)

    def best(
        self,
        request: Request,
        *,
        many: int = 4,
        sampling: Sampling | None = None,
        context: Mapping[str, str] | None = None,
        permit: Sequence[str] | None = None,
        bound: Mapping[str, JSON] | None = None,
        choice: str = "auto",
        parallel: bool = True,
    ) -> list[Answer]:
        """Draw `many` answers to one request together and return those that differ, the likeliest first.

        Drawn by `sampling` (else the caller's own, else at temperature 1), each by the next seed; `Usage` of each is that
        of its own row. Those that failed come last. The rest is as in `__call__`.
        """
        values, asked = bound_values(self.tools, bound or {}), self._ask(request, context, permit, choice, parallel)
        drawn = sampling or self.sampling or Sampling()
        decoded = self._decode([asked] * many, [replace(drawn, seed=drawn.seed + number) for number in range(many)])
        likely = sorted(decoded, key=lambda one: one.logprob if isinstance(one, Decoded) else -torch.inf, reverse=True)
        distinct: dict[str, Answer] = {}
        for one in likely:
            answer = self._finish(asked, self._mended(asked, one), values)
            distinct.setdefault(answer.text, answer)
        return sorted(distinct.values(), key=lambda answer: answer.error is not None)

    def stream(
        self,
        request: Request,
        *,
        context: Mapping[str, str] | None = None,
        permit: Sequence[str] | None = None,
        bound: Mapping[str, JSON] | None = None,
        choice: str = "auto",
        parallel: bool = True,
    ) -> Generator[Piece, None, None]:
        """Answer one request piece by piece: text and completed arguments, once they can no longer be taken back.

        The last piece carries the answer, which may be an error. Closing the iterator stops the decoding. The rest is as in
        `__call__`.
        """
        options: Any = {"context": context, "permit": permit, "bound": bound, "choice": choice, "parallel": parallel}
        return streamed(*self._running(request, **options))

    def astream(self, request: Request, **options: Any) -> AsyncGenerator[Piece, None]:
        """Answer as `stream` does, as an async iterator that leaves the event loop free."""
        return astreamed(*self._running(request, **options))

    def _running(
        self,
        request: Request,
        context: Mapping[str, str] | None = None,
        permit: Sequence[str] | None = None,
        bound: Mapping[str, JSON] | None = None,
        choice: str = "auto",
        parallel: bool = True,
    ) -> tuple[Run, Grammar | None, Any]:
        values, asked = bound_values(self.tools, bound or {}), self._ask(request, context, permit, choice, parallel)
        held = self.spans is not None and bool(self.spans.apart)  # may be decoded anew as a whole

        def run(progress: Progress, cancelled: Callable[[], bool]) -> Answer:
            [decoded] = self._decode([asked], progress=None if held else progress, cancelled=cancelled)
            return self._finish(asked, self._mended(asked, decoded), values)

        return run, asked.grammar, self.base.tokenizer

    def prompt_tokens(
        self, request: Request, *, context: Mapping[str, str] | None = None, permit: Sequence[str] | None = None
    ) -> list[int]:
        """Return the prompt of a request as token ids, as it would be decoded from."""
        tools = self.tools if permit is None else self.tools.subset(permit)
        return self._render(messages_of(request), context, tools)

    def _ask(
        self,
        request: Request,
        context: Mapping[str, str] | None,
        permit: Sequence[str] | None,
        choice: str,
        parallel: bool,
    ) -> Asked:
        start = time.perf_counter()
        tools = chosen_tools(self.tools, permit, choice, parallel=parallel)
        messages = messages_of(request)
        tokens = self._render(messages, context, tools)
        room = self.base.context - len(tokens)
        if room < 1:
            shorter = "shorten the request" + ("" if self.prompt == "short" else ", permit fewer tools, or tune")
            raise PromptTooLongError(
                f"the prompt has {len(tokens)} tokens, the base {self.base.name} reads {self.base.context}",
                where="request",
                fix=shorter,
            )
        said: Any = {"request": said_in(messages), "now": (context or {}).get("now", "")}
        prefix = self._prefix(tokens, context, permit, tools) if self.cache_prefix else None
        limit, adapter = min(self.max_new_tokens, room), self.base.adapter
        bias = self._bias(messages, said["now"], tools) if choice in ("auto", "required") else None
        asked = Asked(tools, choice, **said, tokens=tokens, prefix=prefix, limit=limit, adapter=adapter, bias=bias)
        grammar = self._grammar(asked) if self.constrained else None
        return replace(asked, grammar=grammar, milliseconds=(time.perf_counter() - start) * 1000)

    def _bias(self, messages: Sequence[Message], now: str, tools: ToolSet) -> CallBias | None:
        tuned, heard = self.adapter is not None, heard_in(messages)  # a reader hears both sides
        prior = advised(self.adapter.prior if self.adapter else None, self.base.reader, tools, heard, tuned=tuned)
        said = said_in(messages) if tuned else heard
        return CallBias(prior, said, tools, self.base.renderer.form, self.base.tokenizer, now) if prior else None

    def _grammar(self, asked: Asked, cut: Cuts | None = None) -> Grammar:
        said: Any = {"request": asked.request, "now": asked.now, "cut": cut}
        return Grammar.of(asked.tools, self.base, choice=asked.choice, spans=self.spans, engine=self.engine, **said)

    def _render(
        self, messages: Sequence[Message], context: Mapping[str, str] | None, tools: ToolSet, *, probe: bool = False
    ) -> list[int]:
        shown = tools if self.prompt == "long" else None
        shots = self.shots
        if self.nearest and shots:
            shots = () if probe else self._nearest(said_in(messages))
        return self.base.renderer.prompt(messages, context=context, tools=shown, shots=shots)

    def _nearest(self, request: str) -> tuple[Pair, ...]:
        """Return the shots nearest to a request, the nearest last."""
        found = process.extract(
            request,
            [shot.request for shot in self.shots],
            scorer=fuzz.token_set_ratio,
            processor=utils.default_process,
            limit=self.nearest,
        )
        return tuple(self.shots[place] for _, _, place in reversed(found))

    def _prefix(
        self, tokens: list[int], context: Mapping[str, str] | None, permit: Sequence[str] | None, tools: ToolSet
    ) -> Prefix | None:
        """Return the cached beginning of a prompt, where it has one: what two other prompts have in common."""
        key = (None if permit is None else tuple(permit), bool(context))
        if key not in self._prefixes:
            contexts: list[Mapping[str, str] | None] = [{"a": "1"}, {"Z": "9"}] if context else [None, None]
            one, two = (
                self._render([{"role": "user", "content": text}], known, tools, probe=True)
                for text, known in zip(("a", "Z 9"), contexts, strict=True)
            )
            common = [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False))]
            long = len(common) >= _LEAST_PREFIX
            self._prefixes[key] = Prefix.of(self.base.model, common, self.base.adapter) if long else None
            while len(self._prefixes) > _MOST_PREFIXES:
                self._prefixes.popitem(last=False)
        prefix = self._prefixes[key]
        fits = prefix and len(tokens) > len(prefix.tokens) and tuple(tokens[: len(prefix.tokens)]) == prefix.tokens
        return prefix if fits else None

    def _decode(
        self, asked: list[Asked], sampling: Sequence[Sampling] | None = None, **more: Any
    ) -> list[Decoded | SchematuneError]:
        prefix = asked[0].prefix
        known = len(prefix.tokens) if prefix else 0
        try:
            return list(
                decode(
                    self.base.model,
                    self.base.tokenizer,
                    [one.tokens[known:] for one in asked],
                    [one.grammar for one in asked],
                    max_new_tokens=[one.limit for one in asked],
                    stop=self.base.stop,
                    prefix=prefix,
                    habits=self._habits,
                    sampling=sampling or self.sampling,
                    retry_tokens=self.retry_tokens,
                    adapters=[one.adapter for one in asked],
                    biases=[one.bias for one in asked],
                    **more,
                )
            )
        except torch.OutOfMemoryError as error:
            reason = str(error).splitlines()[0]
            return [DecodeError(f"the device has too little memory: {reason}", fix="a smaller size=...")] * len(asked)

    def _mended(self, asked: Asked, decoded: Decoded | SchematuneError) -> Decoded | SchematuneError:
        """Decode anew where two arguments took the same words, which the adapter's pairs never do."""
        if isinstance(decoded, SchematuneError) or not (decoded.finished and asked.grammar and self.spans):
            return decoded

        def again(ways: list[Cuts]) -> list[Decoded]:
            found = self._decode([replace(asked, grammar=self._grammar(asked, way)) for way in ways])
            failed = [one for one in found if isinstance(one, SchematuneError)]
            if failed:
                raise failed[0]
            return [one for one in found if isinstance(one, Decoded)]

        about: Any = {"rules": self.spans, "tools": asked.tools, "request": asked.request, "prompt": asked.tokens}
        try:
            return mended(decoded, again, base=self.base, **about)
        except SchematuneError:
            return decoded  # no call, or memory ran out: what is wrong with it is said where it is checked

    def _finish(
        self, asked: Asked, decoded: Decoded | SchematuneError, bound: Mapping[str, Mapping[str, JSON]]
    ) -> Answer:
        if isinstance(decoded, SchematuneError):
            return Answer.failed(decoded, usage=Usage(len(asked.tokens), 0, 0, asked.milliseconds))
        start = time.perf_counter()
        error: DecodeError | None = None
        calls: tuple[Call, ...] = ()
        try:
            calls = self._checked(asked, decoded)
        except DecodeError as caught:
            error = caught
        milliseconds = asked.milliseconds + decoded.milliseconds + (time.perf_counter() - start) * 1000
        usage = Usage(len(asked.tokens), len(decoded.tokens), decoded.passes, milliseconds, decoded.closed)
        known: Any = {"text": decoded.text, "usage": usage, "score": score_of(decoded)}
        if error is not None:
            return Answer.failed(error, **known)
        called = bool(calls) and calls[0].name not in RESERVED
        scores = scores_of(decoded, asked.grammar) if called and asked.grammar else ()
        return answered(calls, self.tools, bound, scores=scores, **known)

    def _checked(self, asked: Asked, decoded: Decoded) -> tuple[Call, ...]:
        if decoded.violations:
            raise InvalidOutputError(
                f"no output that fits was found: {decoded.violations[0]}",
                fix="raise retry_tokens, or loosen the schema",
                text=decoded.text,
                violations=decoded.violations,
            )
        if not decoded.finished:
            full = asked.limit < self.max_new_tokens
            raise TruncatedError(
                f"the output was cut off after {len(decoded.tokens)} tokens",
                fix=f"the context of {self.base.context} is full: a shorter prompt" if full else "raise max_new_tokens",
                text=decoded.text,
            )
        fix = "" if self.constrained else "decode with constrained=True"
        calls = self.base.renderer.parse(decoded.text)
        return checked(calls, asked.tools, asked.choice, text=decoded.text, fix=fix)


def answers_of(
    rows: Sequence[tuple[Caller, Row, Mapping[str, Mapping[str, JSON]]]],
    *,
    choice: str,
    parallel: bool,
    size: int,
) -> list[Answer]:
    """Answer requests, each by its caller with its bound values, together: the callers' bases share one model."""
    answers: dict[int, Answer] = {}
    ready: dict[int, Asked] = {}
    for place, (caller, row, _) in enumerate(rows):
        try:
            ready[place] = caller._ask(*row, choice, parallel)
        except SchematuneError as error:
            answers[place] = Answer.failed(error)
    for group in groups_of(ready, size):
        decoded = rows[group[0]][0]._decode([ready[place] for place in group])
        for place, result in zip(group, decoded, strict=True):
            caller, _, values = rows[place]
            answers[place] = caller._finish(ready[place], caller._mended(ready[place], result), values)
    return [answers[place] for place in range(len(rows))]
