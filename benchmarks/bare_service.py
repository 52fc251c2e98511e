"""Reads a request and answers at once: what a round trip to a server costs, whoever serves.

`uvicorn benchmarks.bare_service:app`. Plain ASGI; no form is parsed, no image decoded.
"""

from serving.endpoint.limits import Message, Receive, Send

ANSWER = bytes(4096)


async def app(scope: Message, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http", "uvicorn then goes on without a lifespan"
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(ANSWER))]})
    await send({"type": "http.response.body", "body": ANSWER})
