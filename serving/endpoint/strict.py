"""What a request gives must be something that its endpoint has: each option once, in the form, and not empty.

FastAPI passes over what it does not know and answers 200 with the default, which looks like an answer to what was
asked. Knows no endpoint: what exists is read from the route that was found, and written into the OpenAPI document.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.dependencies.models import Dependant
from starlette.datastructures import UploadFile

UPLOAD_HINT = "send the file as a field of a form, such as `curl -F image=@photo.png URL`"
SHOWN = 80  # characters of what was given


async def check_options(request: Request) -> None:
    """Raises HTTPException 400, with value, rule and cure, for what the endpoint would pass over in silence."""
    route = request.scope["route"]
    if not route.include_in_schema:
        return
    fields = dict(find_fields(route.dependant))
    endpoint = f"{request.method} {route.path}"
    in_address = {field.alias for field in route.dependant.query_params}
    for name, text in request.query_params.multi_items():
        if name in in_address:
            continue
        if name in fields:
            cure = f"options are fields of the form, such as `curl -F image=@photo.png -F {name}={text[:SHOWN]} URL`"
            raise HTTPException(400, f"{said(name, text)} is part of the address, where it is not read; {cure}")
        raise HTTPException(400, unknown(name, text, fields, endpoint))
    if not fields:
        return
    form = await request.form()  # read already; Starlette keeps it
    for name, value in form.multi_items():
        if name not in fields:
            if not name.isprintable():  # a file that was sent as it is, read as if it were a form
                raise HTTPException(400, f"the body is no form of fields; {UPLOAD_HINT}")
            raise HTTPException(400, unknown(name, value, fields, endpoint))
        takes_files = "UploadFile" in fields[name]
        if isinstance(value, UploadFile) and not takes_files:
            raise HTTPException(400, f"{name}: this is a file, where a value belongs; send it as text: -F {name}=VALUE")
        given = form.getlist(name)
        if len(given) > 1 and "list" not in fields[name]:
            values = "files" if isinstance(value, UploadFile) else ", ".join(repr(str(one)[:SHOWN]) for one in given)
            raise HTTPException(400, f"{name} is given {len(given)} times ({values}); give it once")
        if value == "":
            cure = UPLOAD_HINT if takes_files else "give it a value, or leave it out"
            raise HTTPException(400, f"{name}='': the field is empty; {cure}")


def find_fields(dependant: Dependant) -> Iterator[tuple[str, str]]:
    """Every field of the form, and its type as Python writes it."""
    for field in dependant.body_params:
        yield field.alias, str(field.field_info.annotation)
    for inner in dependant.dependencies:
        yield from find_fields(inner)


def unknown(name: str, value: object, fields: dict[str, str], endpoint: str) -> str:
    if not fields:
        return f"{said(name, value)}: {endpoint} has no options; leave it out"
    near = get_close_matches(name.strip().lower().replace("-", "_"), fields, n=1)
    guess = f"; did you mean {near[0]}?" if near else ";"
    hint = f"; {UPLOAD_HINT}" if isinstance(value, UploadFile) else ""
    return f"{said(name, value)}: there is no such field{guess} {endpoint} has {', '.join(fields)}{hint}"


def said(name: str, value: object) -> str:
    return name[:SHOWN] if isinstance(value, UploadFile) else f"{name[:SHOWN]}={str(value)[:SHOWN]!r}"


def describe_strictly(app: FastAPI) -> None:
    """Say the same in the OpenAPI document, and take out what FastAPI writes there though it is never so: null, which
    no form can hold, and status 422, where 400 is answered."""
    document: dict[str, Any] = app.openapi()  # FastAPI keeps it, and gives this very one away
    schemas = {name: schema for name, schema in document["components"]["schemas"].items() if name.startswith("Body_")}
    document["components"]["schemas"] = schemas
    for schema in schemas.values():
        schema["additionalProperties"] = False
        for field in schema["properties"].values():
            for kind in field.pop("anyOf", ()):
                field.update(kind if kind["type"] != "null" else {})
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
