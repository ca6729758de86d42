"""The published JSON Schema of ``manifest.json``, made from the dataclasses themselves."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from explorer.manifest.model import SCHEMA, Manifest

TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12: one definition a dataclass, every field required and no other allowed."""
    definitions: dict[str, Any] = {}
    _described(Manifest, definitions)
    whole = definitions.pop(Manifest.__name__)
    whole["properties"]["schema"] = {"const": SCHEMA}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Corpus Explorer manifest, version {SCHEMA.rpartition('/')[2]}",
        **whole,
        "$defs": definitions,
    }


def _described(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return {**_described(arguments[0], definitions), **arguments[1]}
    if origin in (types.UnionType, Union):
        inner = _described(next(a for a in arguments if a is not type(None)), definitions)
        return {**inner, "type": [inner["type"], "null"]} if "type" in inner else {"anyOf": [inner, {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _described(arguments[0], definitions)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object"}
    if is_dataclass(kind):
        name = kind.__name__  # type: ignore[union-attr]
        if name not in definitions:
            definitions[name] = {}  # its place in the order of use
            hints = get_type_hints(kind, include_extras=True)
            named = [f.name for f in fields(kind) if f.name != "folder"]
            definitions[name] = {
                "description": _first_line(kind),
                "type": "object",
                "additionalProperties": False,
                "required": named,
                "properties": {field: _described(hints[field], definitions) for field in named},
            }
        return {"$ref": f"#/$defs/{name}"}
    return {"type": TYPES[kind]}


def _first_line(kind: Any) -> str:
    paragraph = (kind.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(paragraph.replace("``", "").split())
