"""A teacher: a larger model, behind any OpenAI-compatible endpoint, that puts synthetic requests as people would.

It is asked to rewrite requests whose calls are known, and only the words around the values may change: each value must
stand in the rewritten request as it stood before, so that the evidence can be found again; what comes back passes the
same checks as every other pair. Answers are kept in a cache, tokens and cost are counted, and a budget ends the asking.
Nothing is asked unless a `Teacher` is given: synthesis is offline by default.
"""

import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from schematune.schemas.checks import folded
from schematune.schemas.errors import ExampleError, TeacherError
from schematune.schemas.jsontext import JSON, compact, digest
from schematune.schemas.pair import Evidence, Pair

__all__ = ["Spent", "Teacher"]

AT_ONCE = 8
"""Requests in one question."""

_TASK = (
    "You write training data for a software assistant. You get requests that people might make. Write each of them "
    "anew, as a different person would: other words, another order, now a question, now an order, now a fragment, "
    "sometimes sloppy. Keep the meaning: the same actions, nothing added, nothing left out. Each of the `values` of a request "
    "must stand in the new one exactly as it is written there. Answer in JSON, one new request for each, in order."
)


@dataclass
class Spent:
    """What asking came to: questions, those answered by the cache, those without a usable answer, tokens, cost."""

    questions: int = 0
    cached: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class Teacher:
    """A model behind an OpenAI-compatible endpoint that rewrites requests.

    `base_url` and `api_key` are as for the `openai` package (the extra `schematune[teacher]`), which reads
    `OPENAI_BASE_URL` and `OPENAI_API_KEY` where they are not given. `prices` are for a million tokens of the prompt and
    of the completion; `budget` is in the same money, `max_tokens` in tokens of both kinds, and once either is spent no
    further question is asked (those under way are let finish). `cache` is a file (JSON Lines) of answers, used again
    by the same model for the same requests. `retries` and `timeout` (seconds) are for each question, `workers` ask
    at the same time::

        teacher = Teacher("qwen3-32b", base_url="http://127.0.0.1:8000/v1", cache="teacher.jsonl", max_tokens=500_000)
        pairs = synthesize(tools, 2000, teacher=teacher)
        print(teacher.spent)
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        prices: tuple[float, float] = (0.0, 0.0),
        budget: float | None = None,
        max_tokens: int | None = None,
        cache: str | Path | None = None,
        temperature: float = 1.0,
        retries: int = 4,
        timeout: float = 60.0,
        workers: int = 4,
    ) -> None:
        """See the class; raises `TeacherError` where the `openai` package is missing or has no key."""
        try:
            from openai import OpenAI, OpenAIError
        except ImportError as error:
            raise TeacherError("the package openai is missing", fix='pip install "schematune[teacher]"') from error
        try:
            self._client = OpenAI(base_url=base_url, api_key=api_key, max_retries=retries, timeout=timeout)
        except OpenAIError as error:
            raise TeacherError(str(error).splitlines()[0], where="Teacher", fix="give api_key=") from error
        self.model, self.temperature, self.workers = model, temperature, workers
        self.prices, self.budget, self.max_tokens = prices, budget, max_tokens
        self.spent = Spent()
        self._lock = Lock()
        self._cache_file = Path(cache) if cache else None
        self._cache = _read_cache(self._cache_file) if self._cache_file else {}

    def __repr__(self) -> str:
        """Show the model and where it is."""
        return f"Teacher({self.model!r}, base_url={str(self._client.base_url)!r})"

    def rewritten(self, pairs: Sequence[Pair]) -> Iterator[Pair | None]:
        """Yield each pair with its request put anew, or None where no usable one came; in order.

        Raises `TeacherError` where the endpoint cannot be asked at all.
        """
        groups = [pairs[place : place + AT_ONCE] for place in range(0, len(pairs), AT_ONCE)]
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                for group, texts in zip(groups, pool.map(self._ask, groups), strict=True):
                    yield from map(_put_anew, group, texts)
            finally:
                pool.shutdown(cancel_futures=True)

    def _ask(self, pairs: Sequence[Pair]) -> Sequence[str]:
        """Return a new request for each pair; empty ones where there is no usable answer or no money left."""
        rows = [{"request": pair.request, "values": [text for text, _ in _values(pair)]} for pair in pairs]
        messages = [{"role": "system", "content": _TASK}, {"role": "user", "content": compact(rows)}]
        key = digest([self.model, self.temperature, messages])
        with self._lock:
            self.spent.questions += 1
            known = self._cache.get(key)
            self.spent.cached += known is not None
            spare = known is None and not self._is_spent()
        if spare:
            known = self._answer(messages, len(pairs))
            self._keep(key, known)
        return known if known is not None else [""] * len(pairs)

    def _is_spent(self) -> bool:
        tokens = self.spent.prompt_tokens + self.spent.completion_tokens
        over = self.max_tokens is not None and tokens >= self.max_tokens
        return over or (self.budget is not None and self.spent.cost >= self.budget)

    def _answer(self, messages: Any, many: int) -> list[str] | None:
        from openai import APIConnectionError, APIStatusError, OpenAIError

        items = {"type": "array", "items": {"type": "string"}, "minItems": many, "maxItems": many}
        schema = {"type": "object", "properties": {"requests": items}, "required": ["requests"], "additionalProperties": False}  # fmt: skip
        form: Any = {"type": "json_schema", "json_schema": {"name": "requests", "schema": schema, "strict": True}}
        try:
            answer = self._client.chat.completions.create(
                model=self.model, messages=messages, temperature=self.temperature, response_format=form
            )
        except (APIConnectionError, APIStatusError) as error:
            status = getattr(error, "status_code", None)
            if status is not None and (status >= 500 or status in (408, 409, 429)):
                return None
            raise TeacherError(
                f"the teacher cannot be asked: {str(error).splitlines()[0]}",
                where=str(self._client.base_url),
                fix="check base_url, api_key and the model's name",
            ) from error
        except (OpenAIError, ValueError):
            return None
        self._count(answer.usage)
        text = answer.choices[0].message.content if answer.choices else None
        found = _requests(text or "")
        return found if found is not None and len(found) == many else None

    def _count(self, usage: Any) -> None:
        asked, written = (getattr(usage, name, 0) or 0 for name in ("prompt_tokens", "completion_tokens"))
        with self._lock:
            self.spent.prompt_tokens += asked
            self.spent.completion_tokens += written
            self.spent.cost += (asked * self.prices[0] + written * self.prices[1]) / 1e6

    def _keep(self, key: str, requests: list[str] | None) -> None:
        with self._lock:
            if requests is None:
                self.spent.failed += 1
                return
            self._cache[key] = requests
            if self._cache_file is not None:
                self._cache_file.parent.mkdir(parents=True, exist_ok=True)
                with self._cache_file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, "requests": requests}, ensure_ascii=False) + "\n")


def _read_cache(path: Path) -> dict[str, list[str]]:
    """Read the answers kept; a last line that was cut off is passed over."""
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line) if line.strip() else None
            if row is not None:
                found[str(row["key"])] = [str(text) for text in row["requests"]]
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                path.write_text("\n".join(lines[:-1]) + "\n" * (number > 1), encoding="utf-8")
                break
            raise ExampleError(f"no answer of a teacher: {error!r}", where=f"{path}:{number}", fix="drop it") from error
    return found


def _requests(text: str) -> list[str] | None:
    try:
        found: JSON = json.loads(text)["requests"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else None


def _values(pair: Pair) -> list[tuple[str, list[Evidence]]]:
    """Return the words of a request that say values, each once, with the arguments that they say."""
    found: dict[tuple[int, int], list[Evidence]] = {}
    for item in pair.evidence:
        if item.start >= 0:
            found.setdefault((item.start, item.end), []).append(item)
    return [(pair.request[start:end], items) for (start, end), items in sorted(found.items())]


def _put_anew(pair: Pair, text: str) -> Pair | None:
    """Return a pair with its request replaced, its evidence found again.

    None where a value is gone, nothing is new, or, in a request without values, no word is left of what it was.
    """
    text = text.strip()
    if not text or text == pair.request or not set(folded(text).split()) & set(folded(pair.request).split()):
        return None
    evidence = [item for item in pair.evidence if item.start < 0]
    taken: list[tuple[int, int]] = []
    for words, items in sorted(_values(pair), key=lambda value: -len(value[0])):
        places = (match.span() for match in re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text))
        free = (place for place in places if all(place[1] <= start or end <= place[0] for start, end in taken))
        place = next(free, None)
        if place is None:
            return None
        taken.append(place)
        evidence += [replace(item, start=place[0], end=place[1]) for item in items]
    others = pair.messages[:-1] if len(pair.messages) > 1 else ()
    messages = (*others, {"role": "user", "content": text})
    return replace(pair, messages=messages, evidence=tuple(evidence), source="taught")
