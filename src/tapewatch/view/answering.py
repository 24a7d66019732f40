"""How our addresses are answered: a query or a body becomes a struct, what a function makes of it a response.

Whatever is wrong with a request is answered with 400 and a sentence; a database that cannot be read, with 503.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tapewatch.errors import StoreError
from tapewatch.view.wire import ENCODER

BODY_BYTES_MAX = 8_192

T = TypeVar("T", bound=Struct)


def answering(answer: Callable[[T], Response], wish: type[T]) -> Callable[[Request], Awaitable[Response]]:
    """Answer GET: decode the query by its struct, and work in a thread, for reading blocks.

    Lists in a query are separated by commas.
    """
    lists = {field.name for field in msgspec.structs.fields(wish) if "tuple" in str(field.type)}

    async def endpoint(request: Request) -> Response:
        try:
            wanted = msgspec.convert(_plain(request.query_params, lists), wish, strict=False)
        except msgspec.ValidationError as error:
            return as_json({"error": str(error)}, 400)
        return await _worked(answer, wanted)

    return endpoint


def answering_posts(answer: Callable[[T], Response], wish: type[T]) -> Callable[[Request], Awaitable[Response]]:
    """Answer POST: decode a body of JSON by its struct, and work in a thread.

    A page of another site cannot send a body of this type without asking first, which nobody answers.
    """

    async def endpoint(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return as_json({"error": f"expected a body of application/json, found {kind or 'none'}"}, 400)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > BODY_BYTES_MAX:
                return as_json({"error": f"expected at most {BODY_BYTES_MAX} bytes, found more"}, 400)
        try:
            wanted = msgspec.json.decode(body, type=wish)
        except msgspec.ValidationError as error:
            return as_json({"error": str(error)}, 400)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return as_json({"error": "expected JSON"}, 400)
        return await _worked(answer, wanted)

    return endpoint


def as_json(value: Any, status: int = 200) -> Response:
    """Answer with JSON that nobody may keep."""
    return Response(ENCODER.encode(value), status, {"cache-control": "no-store"}, "application/json")


async def _worked(answer: Callable[[T], Response], wanted: T) -> Response:
    try:
        return await run_in_threadpool(answer, wanted)
    except StoreError as error:
        return as_json({"error": str(error)}, 503)


def _plain(query: Mapping[str, str], lists: set[str]) -> dict[str, Any]:
    return {key: [part for part in text.split(",") if part] if key in lists else text for key, text in query.items()}
