"""Tools from every source, and what is refused."""

import json
import pickle
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from schematune import Call, SchemaError, ToolSet


class Cuisine(Enum):
    THAI = "thai"
    GREEK = "greek"


class Guest(BaseModel):
    name: str
    age: int | None = None


class BookTable(BaseModel):
    """Book a table."""

    place: str = Field(description="Name of the restaurant.")
    people: int = Field(ge=1, le=20)


def order(item: str, size: Literal["small", "large"] = "small", *, guest: Guest | None = None) -> str:
    """Order an item.

    Long words about it.

    Args:
        item: What to order.
    """
    return f"{item} {size} {guest.name if guest else ''}".strip()


def rate(cuisine: Cuisine, stars: Annotated[int, Field(ge=1, le=5, description="Stars.")]) -> int:
    """Rate a cuisine."""
    return stars


def test_functions_and_models_become_tools_and_run() -> None:
    tools = ToolSet([order, BookTable, rate])
    assert tools.names == ("order", "BookTable", "rate")
    assert tools["order"].description == "Order an item."
    assert tools["order"].properties["item"]["description"] == "What to order."
    assert tools["order"].required == ("item",)
    assert tools["rate"].properties["stars"] == {"description": "Stars.", "maximum": 5, "minimum": 1, "type": "integer"}
    function = tools["order"].function
    assert function is not None and function(item="tea", guest={"name": "Ada"}) == "tea small Ada"
    assert not tools.violations(Call("rate", {"cuisine": "thai", "stars": 3}))
    assert tools.violations(Call("rate", {"cuisine": "thai", "stars": 9}))
    assert tools.violations(Call("order", {"item": "x", "colour": "red"})), "arguments that no schema lists are wrong"


OPENAI = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
    },
}


@pytest.mark.parametrize(
    "source",
    [
        OPENAI,
        OPENAI["function"],
        {"name": "f", "description": "d", "input_schema": OPENAI["function"]["parameters"]},  # type: ignore[index]
        {"name": "f", "description": "d", "inputSchema": OPENAI["function"]["parameters"]},  # type: ignore[index]
        {"title": "f", "description": "d", "type": "object", "properties": {"a": {"type": "string"}}},
        {"tools": [OPENAI]},
        [OPENAI],
    ],
)
def test_definitions_of_every_shape_are_the_same_tool(source: Any) -> None:
    assert ToolSet(source).fingerprint == ToolSet(OPENAI).fingerprint


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([OPENAI]))
    assert ToolSet(str(path)).names == ("f",)
    path.write_text("[")
    with pytest.raises(SchemaError, match="tools.json: no JSON"):
        ToolSet(path)
    with pytest.raises(SchemaError, match="absent.json: cannot be read"):
        ToolSet(tmp_path / "absent.json")
    schema = tmp_path / "person.json"
    schema.write_text(json.dumps({"type": "object", "properties": {"name": {"type": "string"}}}))
    assert ToolSet(schema).names == ("person",)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"description": "x", "parameters": {}}, "without a name"),
        ([OPENAI, OPENAI], "stands twice"),
        ({"name": "ask"}, "reserved"),
        (
            {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "strin"}}}},
            "not a valid JSON Schema",
        ),
        ({"name": "f", "parameters": {"type": "array"}}, "of type 'array'"),
        (
            {"name": "f", "parameters": {"properties": {"a": {"$ref": "https://example.com/a.json"}}}},
            "nothing is fetched",
        ),
        ({"name": "f", "parameters": {"properties": {"a": {"$ref": "file:///etc/passwd"}}}}, "nothing is fetched"),
        (3, "is no tool"),
        ([], "no tool at all"),
        (lambda x: x, "has no type"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_the_reason(source: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        ToolSet(source)


def test_a_schema_nested_without_end_is_refused() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(100):
        deep = {"type": "array", "items": deep}
    with pytest.raises(SchemaError, match="nested deeper"):
        ToolSet({"name": "f", "parameters": {"properties": {"a": deep}}})


def test_bound_arguments_are_hidden() -> None:
    def pay(amount: float, user_id: int) -> str:
        """Pay."""
        return f"{user_id}:{amount}"

    tools = ToolSet([pay], bound=["user_id"])
    assert tuple(tools["pay"].properties) == ("amount",) and tools["pay"].bound == ("user_id",)
    assert tools["pay"].required == ("amount",)
    assert tools.violations(Call("pay", {"amount": 1, "user_id": 2}))
    with pytest.raises(SchemaError, match="bound argument 'nobody'"):
        ToolSet([pay], bound=["nobody"])


def test_fingerprint_ignores_the_order_of_tools_but_not_of_arguments() -> None:
    one, two = {"name": "a"}, {"name": "b"}
    assert ToolSet([one, two]).fingerprint == ToolSet([two, one]).fingerprint
    first = {"name": "f", "parameters": {"properties": {"a": {}, "b": {}}}}
    second = {"name": "f", "parameters": {"properties": {"b": {}, "a": {}}}}
    assert ToolSet(first).fingerprint != ToolSet(second).fingerprint
    assert ToolSet(one, parallel=False).fingerprint != ToolSet(one).fingerprint


def test_subset_rebind_and_reserved_calls() -> None:
    tools = ToolSet([order, BookTable])
    assert tools.subset(["order"]).names == ("order",)
    with pytest.raises(SchemaError, match="no tool named 'x'"):
        tools.subset(["x"])
    plain = ToolSet(tools.openai())
    assert plain["order"].function is None and plain.rebind(tools)["order"].function is not None
    assert plain.fingerprint == tools.fingerprint
    assert not tools.violations(Call.no_tool()) and not tools.violations(Call.ask("BookTable", ["place", "people"]))
    assert not tools.violations(Call.ask("BookTable", ["people", "place"]))
    assert tools.violations(Call.ask("order", ["size"])), "only required arguments can be missing"


def test_a_tool_that_was_used_can_be_sent_to_another_process() -> None:
    tools = ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})
    assert tools.violations(Call("f", {"n": "x"}))
    sent = pickle.loads(pickle.dumps(tools["f"]))
    assert sent == tools["f"] and not sent.validator.is_valid({"n": "x"})
