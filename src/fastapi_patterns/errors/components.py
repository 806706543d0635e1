"""Puts JSON schemas into an OpenAPI document's components, under names that no model of the application has. Pure."""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

__all__ = ["FIELD_ERROR", "VALIDATION", "add_schema", "refers", "reset_validation"]

_COMPONENTS = "#/components/schemas/"
_DEFINITIONS = "#/$defs/"
# FastAPI's two names; a renderer's schemas refer to the second.
VALIDATION = "HTTPValidationError"
FIELD_ERROR = "ValidationError"

_FIELD_ERROR = {
    "title": FIELD_ERROR,
    "type": "object",
    "required": ["field", "message"],
    "properties": {
        "field": {"title": "Field", "type": "string", "examples": ["body.email"]},
        "message": {"title": "Message", "type": "string"},
    },
}


def reset_validation(schemas: dict[str, Any]) -> bool:
    """Empty the components that FastAPI adds for its own 422, so that `add_schema` may take their names.

    Models of the application with these names stay as they are: FastAPI's are told by details that pydantic writes
    otherwise. Returns whether FastAPI's were there.
    """
    field, whole = schemas.get(FIELD_ERROR), schemas.get(VALIDATION)
    if isinstance(field, dict) and _property(field, "loc").get("title") == "Location":
        schemas[FIELD_ERROR] = deepcopy(_FIELD_ERROR)
    if not isinstance(whole, dict) or "required" in whole:
        return False
    if _property(whole, "detail").get("items") != {"$ref": _COMPONENTS + FIELD_ERROR}:
        return False
    schemas[VALIDATION] = None
    return True


def _property(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = schema.get("properties", {}).get(name)
    return found if isinstance(found, dict) else {}


def add_schema(schemas: dict[str, Any], name: str, schema: Mapping[str, Any]) -> dict[str, str]:
    """Add a schema and what it defines in `$defs`, and return a reference to it.

    Args:
        schemas: The document's `components.schemas`; changed. A schema that is there already is shared.
        name: The name to give; another one is chosen where a different schema has it.
        schema: A self-contained JSON schema. It may refer to `#/components/schemas/ValidationError`, one failed field.
    """
    parts: dict[str, Any] = dict(schema.get("$defs", {}))
    top = {key: value for key, value in schema.items() if key != "$defs"}
    if refers(schema, FIELD_ERROR) and FIELD_ERROR not in parts:
        parts[FIELD_ERROR] = _FIELD_ERROR
    if set(top) == {"$ref"} and top["$ref"].removeprefix(_DEFINITIONS) in parts:
        name = top["$ref"].removeprefix(_DEFINITIONS)  # a recursive model is nothing but one of its own definitions
    else:
        while name in parts:
            name = f"{name}Body"
        parts[name] = top
    names = _free_names(schemas, parts)
    for key, part in parts.items():
        schemas[names[key]] = _renamed(part, names)
    return {"$ref": _COMPONENTS + names[name]}


def refers(schema: Any, name: str) -> bool:
    """Tell whether there is a reference to this component anywhere in a schema or document."""
    found: list[str] = []

    def look(target: str) -> str:
        found.append(target)
        return target

    _with_references(schema, look)
    return _COMPONENTS + name in found


def _free_names(schemas: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, str]:
    names = {key: re.sub(r"[^A-Za-z0-9._-]+", "", key) or "Error" for key in parts}
    settled = False
    while not settled:  # a new name changes what refers to it, and with it what is the same as a known schema
        settled = True
        used: set[str] = set()
        for key, part in parts.items():
            there = schemas.get(names[key])
            if names[key] in used or (there is not None and there != _renamed(part, names)):
                names[key] += "Body"
                settled = False
            used.add(names[key])
    return names


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """Copy a schema with references into the components."""

    def rename(reference: str) -> str:
        for prefix in (_DEFINITIONS, _COMPONENTS):
            key = reference.removeprefix(prefix)
            if reference.startswith(prefix) and key in names and (prefix == _DEFINITIONS or key == FIELD_ERROR):
                return _COMPONENTS + names[key]
        return reference

    return _with_references(schema, rename)


def _with_references(schema: Any, change: Callable[[str], str]) -> Any:
    if isinstance(schema, list):
        return [_with_references(inner, change) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    # FastAPI's documents have no null defaults: without them a model that it shows too is the same here.
    kept = {key: inner for key, inner in schema.items() if key != "default" or inner is not None}
    copied = {key: _with_references(inner, change) for key, inner in kept.items()}
    if isinstance(copied.get("$ref"), str):
        copied["$ref"] = change(copied["$ref"])
    discriminator = copied.get("discriminator")
    if isinstance(discriminator, dict) and isinstance(discriminator.get("mapping"), dict):
        discriminator["mapping"] = {tag: change(target) for tag, target in discriminator["mapping"].items()}
    return copied
