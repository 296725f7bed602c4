"""What commands print and leave, held against the schemas that are shipped for other programs."""

import json
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).parents[1] / "schemas"


def conforms(name: str, document: Any) -> Any:
    """The document, which must be as `schemas/NAME.v1.json` says and have no member that it does not describe."""
    schema = json.loads((SCHEMAS / f"{name}.v1.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, {**schema, "additionalProperties": False})
    return document
