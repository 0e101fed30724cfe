"""Plain structured output: a request and any JSON Schema in, a value that fits out, or a typed error.

Behind it stand the schema's grammar, the checks of what the grammar cannot hold, and the end in time
(`schematune.decoding.grammar`, `guard`, `closing`). What comes out is parsed and validated once more before it leaves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from schematune.decoding.asked import Request, messages_of
from schematune.decoding.base import Base
from schematune.decoding.grammar import Grammar
from schematune.decoding.loop import RETRY_TOKENS, decode
from schematune.decoding.rows import Decoded, Sampling
from schematune.schemas.call import Usage
from schematune.schemas.errors import InvalidOutputError, PromptTooLongError, SchematuneError, TruncatedError
from schematune.schemas.jsontext import JSON, compact, strict_loads
from schematune.schemas.validate import part_validator

__all__ = ["Structured", "read_value", "structured", "structured_batch"]


@dataclass(frozen=True)
class Structured:
    """A value that fits its schema, its text, and what it cost."""

    value: JSON
    text: str
    usage: Usage


def structured(
    base: Base,
    request: Request,
    schema: JSON,
    *,
    max_new_tokens: int = 512,
    sampling: Sampling | None = None,
    retry_tokens: int = RETRY_TOKENS,
    cancelled: Callable[[], bool] | None = None,
) -> Structured:
    """Answer a request with a value that fits a JSON Schema of any draft.

    Greedy, unless `sampling` says how tokens are drawn; up to `retry_tokens` tokens are taken back where values do not
    fit what the grammar cannot hold. Once `cancelled` says so, the value is ended as shortly as can be. Raises
    `SchemaError` for a schema that no grammar can be made of, `RenderError` for messages that cannot be rendered, and
    `DecodeError`: `PromptTooLongError`, `TruncatedError`, `InvalidOutputError`.
    """
    options: Any = {"sampling": sampling, "retry_tokens": retry_tokens, "cancelled": cancelled}
    [found] = structured_batch(base, [request], [schema], max_new_tokens=max_new_tokens, **options)
    if isinstance(found, SchematuneError):
        raise found
    return found


def structured_batch(
    base: Base,
    requests: Sequence[Request],
    schemas: Sequence[JSON],
    *,
    max_new_tokens: int = 512,
    sampling: Sampling | None = None,
    retry_tokens: int = RETRY_TOKENS,
    cancelled: Callable[[], bool] | None = None,
) -> list[Structured | SchematuneError]:
    """Answer requests together, each with a value of its own schema; a failed one is the error that it would raise."""
    found: dict[int, Structured | SchematuneError] = {}
    ready: dict[int, tuple[list[int], Grammar, int]] = {}
    for place, (request, schema) in enumerate(zip(requests, schemas, strict=True)):
        try:
            ready[place] = _prepared(base, request, schema, max_new_tokens)
        except SchematuneError as error:
            found[place] = error
    rows = list(ready.values())
    outputs = decode(
        base.model, base.tokenizer, [prompt for prompt, _, _ in rows], [grammar for _, grammar, _ in rows],
        stop=base.stop, max_new_tokens=[limit for _, _, limit in rows], sampling=sampling, retry_tokens=retry_tokens,
        cancelled=cancelled,
    )  # fmt: skip
    for (place, (prompt, _, _)), decoded in zip(ready.items(), outputs, strict=True):
        usage = Usage(len(prompt), len(decoded.tokens), decoded.passes, decoded.milliseconds, decoded.closed)
        try:
            found[place] = Structured(read_value(decoded, schemas[place]), decoded.text, usage)
        except SchematuneError as error:
            found[place] = error
    return [found[place] for place in range(len(schemas))]


def _prepared(base: Base, request: Request, schema: JSON, limit: int) -> tuple[list[int], Grammar, int]:
    """Return the prompt, the grammar and the limit of tokens; raises `SchematuneError`."""
    grammar = Grammar.of_schema(schema, base)
    prompt = base.renderer.prompt(messages_of(request))
    limit = min(limit, base.context - len(prompt))
    if limit < 1:
        what = f"the prompt has {len(prompt)} tokens, the base {base.name} reads {base.context}"
        raise PromptTooLongError(what, where="request", fix="shorten the request")
    return prompt, grammar, limit


def read_value(decoded: Decoded, schema: JSON) -> JSON:
    """Return the value of a completion that fits `schema`; raises `TruncatedError` and `InvalidOutputError`."""
    if decoded.violations:
        what, fix = (
            f"no output that fits was found: {decoded.violations[0]}",
            "raise retry_tokens, or loosen the schema",
        )
        raise InvalidOutputError(what, fix=fix, text=decoded.text, violations=decoded.violations)
    if not decoded.finished:
        what = f"the output was cut off after {len(decoded.tokens)} tokens"
        raise TruncatedError(what, fix="raise max_new_tokens", text=decoded.text)
    try:
        value = strict_loads(decoded.text)
        compact(value).encode()
    except ValueError as error:
        raise InvalidOutputError(
            f"the output does not parse: {error}", text=decoded.text, violations=[str(error)]
        ) from error
    wrong = _violations(schema, value)
    if wrong:
        raise InvalidOutputError(f"the output does not fit: {wrong[0]}", text=decoded.text, violations=wrong)
    return value


def _violations(schema: JSON, value: JSON) -> list[str]:
    validator = part_validator(schema, schema)
    if validator is None:  # the mask holds all of it, or no grammar would have been made
        return []
    try:
        return [f"{'.'.join(map(str, e.instance_path)) or '(top)'}: {e.message}" for e in validator.iter_errors(value)]
    except (ValueError, OverflowError) as error:
        return [f"(top): cannot be checked: {error}"]
