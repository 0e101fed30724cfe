"""Tools from every source, and what is refused."""

import json
import pickle
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Required

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from schematune import Call, SchemaError, ToolSet, synthesize


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


class Line(BaseModel):
    """A line of an order."""

    name: str
    parts: list["Line"] = []


@dataclass
class Parcel:
    """A parcel.

    Attributes:
        weight: In kilograms.
    """

    weight: float
    to: str = "home"


class Stay(TypedDict, total=False):
    nights: Required[Annotated[int, "How many nights."]]
    view: Literal["sea", "yard"]


def test_classes_that_say_their_members_become_tools_and_are_made() -> None:
    tools = ToolSet([Line, Parcel, Stay])
    assert tools["Line"].required == ("name",) and set(tools["Line"].properties) == {"name", "parts"}
    assert tools.violations(Call("Line", {"name": "a", "parts": [{"parts": []}]}))
    assert tools["Parcel"].description == "A parcel."
    assert tools["Parcel"].properties["weight"] == {"type": "number", "description": "In kilograms."}
    assert tools["Stay"].properties["nights"]["description"] == "How many nights."
    assert tools["Stay"].required == ("nights",)
    made = tools["Parcel"].function
    assert made is not None and made(weight="2.5") == Parcel(2.5)
    with pytest.raises(SchemaError, match="class Path says nothing of its members"):
        ToolSet([Path])


class Scale:
    """Weigh things."""

    def __call__(self, grams: int, tare: int = 0) -> int:
        return grams - tare


def test_whatever_can_be_called_is_a_tool() -> None:
    def add(schema: int, model_config: int, _private: int = 0) -> int:
        """Add."""
        return schema + model_config + _private

    tools = ToolSet([Scale(), partial(add, model_config=40)])
    assert tools["Scale"].description == "Weigh things." and tools["Scale"].required == ("grams",)
    assert list(tools["add"].properties) == ["schema", "_private"], "what a partial has fixed is no argument"
    assert [tool.function and tool.function(**{tool.required[0]: 2}) for tool in tools] == [2, 42]


DOCSTRINGS = (
    "Look.\n\nArgs:\n    city (str, optional): The town\n        or village: one.\n    day: When.\n\nReturns:\n    city: x",
    "Look.\n\nParameters\n----------\ncity : str\n    The town\n    or village: one.\nday : str, optional\n    When.\n\n"
    "Returns\n-------\nstr\n    Text.",
    "Look.\n\n:param str city: The town\n    or village: one.\n:param day: When.\n:type day: str\n:returns: Text.",
)


@pytest.mark.parametrize("documentation", DOCSTRINGS)
def test_docstrings_of_every_style_tell_of_the_arguments(documentation: str) -> None:
    def look(city: str, day: str, spot: Annotated[str, "Which corner."] = "") -> str:
        return city

    look.__doc__ = documentation
    tool = ToolSet([look])["look"]
    assert tool.description == "Look."
    told = {name: part["description"] for name, part in tool.properties.items()}
    assert told == {"city": "The town or village: one.", "day": "When.", "spot": "Which corner."}


def test_what_other_forms_say_besides_is_written_out_again() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    listed = {"name": "f", "description": "d", "inputSchema": schema, "title": "F", "outputSchema": schema,
              "annotations": {"readOnlyHint": True}}  # fmt: skip
    answered = ToolSet({"jsonrpc": "2.0", "id": 1, "result": {"tools": [listed]}})
    assert answered.mcp() == [listed] and answered.subset(["f"]).mcp() == [listed]
    strict = {**OPENAI, "function": {**OPENAI["function"], "strict": True}}  # type: ignore[dict-item]
    assert ToolSet(strict).openai() == [strict]
    assert ToolSet(strict).fingerprint == answered.fingerprint == ToolSet(OPENAI).fingerprint
    asked = {"type": "json_schema", "json_schema": {"name": "f", "strict": True, "schema": schema}}
    assert ToolSet(asked)["f"].properties == schema["properties"]


def test_yaml_is_read_as_json_has_it(tmp_path: Path) -> None:
    path = tmp_path / "tools.yaml"
    path.write_text("\ufefftitle: light\nproperties:\n  on: {enum: [yes, off, true, 010, 9:30, 1e2, 7]}\n  2: {}\n")
    assert ToolSet(path)["light"].properties == {"on": {"enum": ["yes", "off", True, "010", "9:30", 100.0, 7]}, "2": {}}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"title": "f", "$schema": "https://example.com/dialect", "type": "object"}, "dialect .* is not known"),
        (
            {"title": "f", "properties": {"n": {"minimum": 1, "exclusiveMinimum": True}}},
            "#/properties/n/exclusiveMinimum: .* draft 4",
        ),
        ({"name": "f", "parameters": {"properties": {"a": {}}, "required": ["b"]}}, "'b' is required and not listed"),
        ({"type": "web_search"}, "leave it out"),
        ("https://example.com/tools.json", "is not fetched"),
    ],
)
def test_a_refusal_says_where_and_the_way_out(source: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        ToolSet(source)


NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/n"}},
    "required": ["value"],
}


@pytest.mark.parametrize(
    "root",
    [
        {"$ref": "#/$defs/n", "$defs": {"n": NODE}},
        {"allOf": [{"$ref": "#/$defs/n"}, {"properties": {"next": {}}}], "$defs": {"n": NODE}},
        {
            "$id": "https://x.org/a",
            "$ref": "n",
            "$defs": {"n": {"$id": "n", **NODE, "properties": {"value": {}, "next": {"$ref": "#"}}}},
        },
        {"anyOf": [NODE, {"required": ["next"], "properties": {"next": True}}], "$defs": {"n": NODE}},
        {**NODE, "properties": {**NODE["properties"], "gone": False}, "minProperties": 2, "$defs": {"n": NODE}},  # type: ignore[dict-item]
    ],
)
def test_a_schema_may_say_its_members_at_one_remove(root: dict[str, Any]) -> None:
    tools = ToolSet({"title": "list", **root})
    assert "anyOf" in root or tools["list"].required == ("value",)
    pairs = synthesize(tools, 40, seed=1)
    calls = [call for pair in pairs for call in pair.calls if call.name == "list"]
    assert not any(tools.violations(call) for call in calls)
    assert any("value" in call.arguments for call in calls) and pairs.rejected["schema"] == 0
    assert ToolSet(tools.openai()).fingerprint == tools.fingerprint
