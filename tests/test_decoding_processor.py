"""Outlines' generator behind the processor writes what the loop writes."""

from collections.abc import Callable

import outlines
import pytest
import torch
from test_decoding_loop import REQUESTS, TOOLS, prompts, texts

from schematune.decoding.base import Base
from schematune.decoding.grammar import Grammar
from schematune.decoding.processor import GrammarProcessor
from schematune.schemas.errors import DecodeError
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]


# not qwen3 and llama3.2: Outlines renders their templates with thinking on, and with the day of the clock
@pytest.mark.parametrize("family", ["gemma3", "smollm3", "builtin"])
def test_the_processor_equals_the_loop(tiny_loaded: Loaded, family: str) -> None:
    base = tiny_loaded(family)
    grammar = Grammar.of(TOOLS, base)
    model = outlines.from_transformers(base.model, base.tokenizer)  # type: ignore[arg-type]
    generator = outlines.Generator(model, processor=GrammarProcessor(grammar))
    for request, prompt in zip(REQUESTS[:2], prompts(base)[:2], strict=True):
        assert generator(request, max_new_tokens=300) == texts(base, [prompt], [grammar])[0]


def test_each_row_has_its_grammar(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    grammars = [Grammar.of(TOOLS, base, choice=choice) for choice in ("clock", "none")]
    processor = GrammarProcessor(grammars)
    [prompt] = prompts(base)[:1]
    rows = torch.tensor([prompt, prompt])
    for _ in range(2):
        processor.reset()
        options = {"attention_mask": torch.ones_like(rows), "logits_processor": [processor], "max_new_tokens": 60}
        output = base.model.generate(rows, **options)  # type: ignore[operator]
        written = [base.tokenizer.decode(row[len(prompt) :], skip_special_tokens=True) for row in output]
        assert written == ['{"name":"clock","arguments":{}}', '{"name":"no_tool","arguments":{}}']


def test_rows_without_a_grammar(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    grammar = Grammar.of(ToolSet({"name": "f", "parameters": {}}), base)
    with pytest.raises(DecodeError, match="2 grammars for 3 rows"):
        GrammarProcessor([grammar, grammar]).process_logits(torch.zeros((3, 4), dtype=torch.long), torch.zeros(3, 512))
