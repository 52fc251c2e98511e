"""What stands before the endpoints: who may ask, how many at once, how much and how slowly. ASGI; knows no image.

Bytes are counted as they come, because a chunked body says no length and a stated one may be a lie. FastAPI's
HTTPBearer reads the token, but is asked here: a route asks only after the whole body was read. BentoML's
max_concurrency was tried and left: its 429 has neither `detail` nor Retry-After, is given at / too, and is not counted
by our metrics.
"""

import asyncio
import hmac
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

TOKEN = "SEGMENT_TOKEN"
PUBLIC_PATHS = (
    "/",
    "/healthz",
    "/livez",
    "/readyz",
)  # the page itself holds nothing of the model
BEARER = HTTPBearer(auto_error=False, description=f"the value of {TOKEN} on the server")
MAX_BODY = 320 * 2**20  # bytes: 100 megapixels of raw RGB
SLOW_SECONDS = 20.0  # without a byte
MAX_REQUESTS = 64  # at once; more are answered 429

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class RefusedError(Exception):
    """The rest of the body is not read; the answer was decided."""


class LimitsMiddleware:
    """401 without the token, 429 for one too many, 413 for a body that is too large, 408 for a client that stops."""

    def __init__(self, app: App) -> None:
        self.app, self.token, self.active = app, read_token(), 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if self.token and scope["path"] not in PUBLIC_PATHS and not await _is_authorized(request, self.token):
            cure = "send the header `Authorization: Bearer TOKEN`"
            await refuse(send, 401, f"this server asks for a token; {cure}", [(b"www-authenticate", b"Bearer")])
            return
        stated = request.headers.get("content-length", "0")
        if stated.isascii() and stated.isdigit() and int(stated) > MAX_BODY:
            await refuse(send, 413, too_large())
            return
        if scope["path"] in PUBLIC_PATHS:
            await self._pass(scope, receive, send)
            return
        if self.active >= MAX_REQUESTS:
            detail = f"{self.active} requests are being answered, and no more at once; ask again in a second"
            await refuse(send, 429, detail, [(b"retry-after", b"1")])
            return
        self.active += 1
        try:
            await self._pass(scope, receive, send)
        finally:
            self.active -= 1

    async def _pass(self, scope: Message, receive: Receive, send: Send) -> None:
        """To the endpoints; what the body does meanwhile may decide the answer."""
        answered, received = False, 0
        refusal: tuple[int, str] | None = None

        async def count() -> Message:
            nonlocal received, refusal
            try:
                async with asyncio.timeout(None if answered else SLOW_SECONDS):
                    message = await receive()
            except TimeoutError:
                refusal = (408, f"nothing came for {SLOW_SECONDS:.0f} s; send the request again, without a pause")
                raise RefusedError from None
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                refusal = (413, too_large())
                raise RefusedError
            return message

        async def answer(message: Message) -> None:
            """What the app would answer to a body that broke off is not sent; nor is a refusal that is no JSON."""
            nonlocal answered, refusal
            if message.get("status") == 404 and _plain(message):
                refusal = (404, f"{scope['path'][:80]}: there is no such endpoint; GET /openapi.json lists them all")
            if refusal is None or answered:
                answered = True
                await send(message)

        try:
            await self.app(scope, count, answer)
        except RefusedError:
            if answered:
                raise
        if refusal and not answered:
            await refuse(send, *refusal)


def read_token() -> str:
    """What SEGMENT_TOKEN asks for, "" where it is not set: then everybody is served. White space around it is not part
    of it: files and secrets end in a newline, which no header can carry.

    Raises ValueError, with the cure, for one that nobody could send; an empty one would leave the server open.
    """
    if TOKEN not in os.environ:
        return ""
    token = os.environ[TOKEN].strip()
    if not token:
        raise ValueError(f"{TOKEN} is set, but empty; give it a token, or unset it to serve everybody")
    if not (token.isascii() and token.isprintable()):
        raise ValueError(f"{TOKEN} holds a character that no header can carry; use letters, digits and -._~+/= only")
    return token


def token_wanted() -> list[Any]:
    """For the OpenAPI document, which is to say that a token is wanted; LimitsMiddleware refuses those without."""
    return [Depends(BEARER)] if TOKEN in os.environ else []


def too_large() -> str:
    return f"the request is longer than {MAX_BODY // 2**20} MiB; send a smaller image, or a compressed one"


async def refuse(send: Send, status: int, detail: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """A JSON answer, and the end of the connection: what else the client sends is not wanted."""
    body = json.dumps({"detail": detail}).encode()
    common = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    common.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": [*common, *(headers or [])]})
    await send({"type": "http.response.body", "body": body})


def _plain(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/plain") for name, value in message["headers"])


async def _is_authorized(request: Request, token: str) -> bool:
    given = await BEARER(request)
    return given is not None and hmac.compare_digest(given.credentials.encode(), token.encode())
