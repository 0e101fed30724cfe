"""What the engine and the validator make of single keywords, asked once each."""

from functools import lru_cache

import llguidance

from schematune.schemas.validate import part_validator

__all__ = ["compiles", "is_annotation"]


@lru_cache(maxsize=4096)
def compiles(schema: str) -> bool:
    """Tell whether the engine takes a schema, given as JSON.

    >>> compiles('{"multipleOf":0.5}'), compiles('{"pattern":"(?=a)b"}')
    (True, False)
    """
    try:
        text = llguidance.LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
    except ValueError:  # a number beyond its bounds
        return False
    return not llguidance.LLMatcher.validate_grammar(text)


@lru_cache(maxsize=512)
def is_annotation(form: str) -> bool:
    """Tell whether the validator takes a format for a mere note: it lets nonsense through.

    >>> is_annotation("colour"), is_annotation("date")
    (True, False)
    """
    validator = part_validator({"format": form}, True)
    return validator is None or all(validator.is_valid(text) for text in ("\n", "%", "\\", "{", "(", "a b", ""))
