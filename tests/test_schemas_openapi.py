"""OpenAPI documents as tools: parameters and bodies, both dialects, references, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from schematune.schemas.call import Call
from schematune.schemas.errors import SchemaError
from schematune.schemas.synthesize import synthesize
from schematune.schemas.tool import ToolSet

SHOP: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/orders/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
                {"name": "lang", "in": "query", "schema": {"type": "string"}},
            ],
            "get": {
                "operationId": "getOrder",
                "summary": "Find an order.",
                "description": "Also those that are paid.",
                "parameters": [
                    {"$ref": "#/components/parameters/Lang"},
                    {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
                    {"name": "id", "in": "query", "description": "of the shop", "schema": {"type": "string"}},
                ],
            },
            "delete": {"summary": "Cancel an order"},
        },
        "/orders": {
            "post": {
                "operationId": "order",
                "requestBody": {"$ref": "#/components/requestBodies/Order"},
            },
            "put": {
                "operationId": "replace",
                "requestBody": {
                    "content": {
                        "text/plain": {"schema": {"type": "string"}},
                        "application/json": {"schema": {"$ref": "#/components/schemas/Order"}},
                    }
                },
            },
        },
    },
    "components": {
        "parameters": {"Lang": {"name": "lang", "in": "query", "schema": {"type": "string", "enum": ["de", "en"]}}},
        "requestBodies": {
            "Order": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
            }
        },
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["number", "item"],
                "properties": {
                    "number": {"type": "integer", "readOnly": True},
                    "item": {"$ref": "#/components/schemas/Item"},
                    "note": {"type": "string", "nullable": True, "example": "ring twice"},
                    "weight": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                },
            },
            "Item": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}}},
                "discriminator": {"propertyName": "name"},
            },
        },
    },
}  # fmt: skip


def test_operations_are_tools() -> None:
    tools = ToolSet(SHOP)
    assert tools.names == ("getOrder", "delete_orders_id", "order", "replace")
    get = tools["getOrder"]
    assert get.description == "Find an order. Also those that are paid."
    assert dict(get.properties) == {
        "id": {"type": "integer"},
        "lang": {"type": "string", "enum": ["de", "en"]},
        "id_query": {"type": "string", "description": "of the shop"},
    }
    assert get.required == ("id",) and tools["delete_orders_id"].required == ("id",)


def test_a_body_gives_its_members_or_is_one_argument() -> None:
    tools = ToolSet(SHOP)
    order = tools["order"]
    assert list(order.properties) == ["item", "note", "weight"] and order.required == ("item",)
    assert order.properties["note"] == {"type": ["string", "null"], "examples": ["ring twice"]}
    assert order.properties["weight"] == {"type": "number", "exclusiveMinimum": 0}
    right = {"item": {"name": "lamp", "parts": [{"name": "bulb"}]}, "note": None, "weight": 0.5}
    assert tools.violations(Call("order", right)) == []
    assert tools.violations(Call("order", {**right, "weight": 0}))
    assert tools.violations(Call("order", {"item": {"parts": [{"name": 3}]}}))
    assert list(tools["replace"].properties) == ["body"] and tools["replace"].required == ()
    assert tools.violations(Call("replace", {"body": {"item": {}}})) == []
    assert tools.violations(Call("replace", {"body": {"note": "x"}}))


def test_yaml_and_json_files_read_alike(tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(SHOP))
    (tmp_path / "shop.yaml").write_text(json.dumps(SHOP, indent=1).replace('"3.0.3"', "'3.0.3'"))
    both = [ToolSet(str(tmp_path / name)) for name in ("shop.json", "shop.yaml")]
    assert both[0].fingerprint == both[1].fingerprint == ToolSet(SHOP).fingerprint
    (tmp_path / "day.yml").write_text("title: stay\nproperties:\n  day: {type: string, default: 2026-11-22}\n")
    assert ToolSet(tmp_path / "day.yml")["stay"].properties["day"]["default"] == "2026-11-22"
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(SchemaError, match=r"broken\.yaml.*no YAML"):
        ToolSet(tmp_path / "broken.yaml")


def test_3_1_is_json_schema_already() -> None:
    body = {
        "content": {
            "application/json": {"schema": {"type": "object", "properties": {"a": {"type": ["null", "string"]}}}}
        }
    }
    tools = ToolSet({"openapi": "3.1.0", "paths": {"/x-y/{z}.json": {"post": {"requestBody": body}}}})
    assert tools.names == ("post_x-y_z_.json",)
    assert dict(tools["post_x-y_z_.json"].properties) == {"a": {"type": ["null", "string"]}}


def test_pairs_come_from_them() -> None:
    tools = ToolSet(SHOP)
    pairs = synthesize(tools, 40, seed=1)
    assert {call.name for pair in pairs for call in pair.calls} >= set(tools.names)
    assert not [line for pair in pairs for call in pair.calls for line in tools.violations(call)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"openapi": "2.9"}, "OpenAPI 2.9"),
        ({"openapi": None, "swagger": "2.0"}, "Swagger 2.0"),
        ({"paths": []}, "no JSON object"),
        ({"paths": {"/a": {"get": {"parameters": [{"in": "query"}]}}}}, "GET /a.*without name"),
        ({"paths": {"/a": {"get": {"parameters": [{"$ref": "#/components/nowhere"}]}}}}, "leads nowhere"),
        ({"paths": {"/a": {"get": {"parameters": [{"$ref": "other.json#/a"}]}}}}, "leaves the document"),
        ({"paths": {"/a": {"$ref": "#/paths/~1a"}}}, "leads to itself"),
        ({"paths": {}}, "no tool at all"),
    ],
)
def test_what_cannot_be_read_is_refused(change: dict[str, Any], words: str) -> None:
    document = {key: value for key, value in {**SHOP, **change}.items() if value is not None}
    with pytest.raises(SchemaError, match=words):
        ToolSet(document)
