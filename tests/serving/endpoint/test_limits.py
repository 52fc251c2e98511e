"""What stands before the endpoints, asked as a server asks it: message by message."""

import asyncio
import json
from typing import Any

import pytest

from serving.endpoint import limits
from serving.endpoint.limits import LimitsMiddleware
from serving.endpoint.metrics import kind


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Reads the whole body, then says how long it was."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


async def stubborn(scope: Any, receive: Any, send: Any) -> None:
    """As FastAPI: whatever goes wrong with a body is answered 400."""
    try:
        await echo(scope, receive, send)
    except Exception:
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def ask(
    chunks: list[bytes],
    headers: dict[str, str] | None = None,
    path: str = "/segment",
    app: Any = echo,
    pause: float = 0,
) -> tuple[int, str]:
    sent: list[Any] = []
    waiting = list(chunks)

    async def receive() -> Any:
        if pause:
            await asyncio.sleep(pause)
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    lower = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]  # as servers do
    scope = {"type": "http", "path": path, "headers": lower}
    asyncio.run(LimitsMiddleware(app)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"], "one answer"
    return sent[0]["status"], sent[1]["body"].decode()


def detail(body: str) -> str:
    return str(json.loads(body)["detail"])


@pytest.mark.parametrize("app", [echo, stubborn])
def test_a_body_without_a_length_is_counted_as_it_comes(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BODY", 2**20)
    assert ask([b"x" * 2**19] * 2, app=app) == (200, str(2**20))
    status, body = ask([b"x" * 2**19] * 3, app=app)
    assert status == 413
    assert detail(body) == "the request is longer than 1 MiB; send a smaller image, or a compressed one"


@pytest.mark.parametrize(("stated", "status"), [("10", 200), ("99999999999", 413)])
def test_a_stated_length_is_believed_when_it_is_too_long(stated: str, status: int) -> None:
    assert ask([b"x"], {"content-length": stated})[0] == status


@pytest.mark.parametrize("app", [echo, stubborn])
def test_a_client_that_stops_sending_is_answered_408(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SLOW_SECONDS", 0.05)
    status, body = ask([b"x", b"y"], app=app, pause=0.3)
    assert status == 408
    assert "send the request again" in detail(body)


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({}, "/segment", 401),
        ({"authorization": "Bearer wrong"}, "/segment", 401),
        ({"authorization": "Basic secret"}, "/model", 401),
        ({"authorization": "Bearer secret"}, "/segment", 200),
        ({"Authorization": "bearer secret"}, "/metrics", 200),
        ({}, "/metrics", 401),
        ({}, "/openapi.json", 401),
        ({}, "/info/", 401),
        ({}, "/healthz", 200),
        ({}, "/readyz", 200),
        ({}, "/", 200),
    ],
)
def test_with_a_token_set_everything_but_health_and_the_empty_page_asks_for_it(
    headers: dict[str, str], path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGMENT_TOKEN", "secret")
    assert ask([b""], headers, path)[0] == status


@pytest.mark.parametrize("configured", ["secret\n", "secret\r\n", " secret "])
def test_a_token_may_end_in_the_newline_of_the_file_it_came_from(
    configured: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGMENT_TOKEN", configured)
    assert ask([b""], {"authorization": "Bearer secret"})[0] == 200
    assert ask([b""], {"authorization": "Bearer secre"})[0] == 401


@pytest.mark.parametrize(
    ("configured", "words"),
    [
        ("", "is set, but empty; give it a token, or unset it"),
        (" \n", "is set, but empty"),
        ("\ufeffsecret", "holds a character that no header can carry"),
        ("one\ntwo", "holds a character that no header can carry"),
    ],
)
def test_a_token_that_nobody_could_send_stops_the_server_and_never_opens_it(
    configured: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGMENT_TOKEN", configured)
    with pytest.raises(ValueError, match=f"SEGMENT_TOKEN {words}"):
        LimitsMiddleware(echo)


def test_without_a_token_set_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEGMENT_TOKEN", raising=False)
    assert ask([b"abc"]) == (200, "3")


def test_one_request_too_many_is_answered_429_and_health_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_REQUESTS", 2)
    go_on = asyncio.Event()

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await echo(scope, receive, send)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def all_of_them() -> list[tuple[int, str]]:
        guarded, seen = LimitsMiddleware(wait), []

        async def one(path: str) -> None:
            async def send(message: Any) -> None:
                if "status" in message:
                    seen.append((message["status"], path))

            await guarded({"type": "http", "path": path, "headers": []}, receive, send)

        tasks = [asyncio.create_task(one(path)) for path in ("/a", "/b", "/c", "/healthz")]
        await asyncio.sleep(0.05)
        go_on.set()
        await asyncio.gather(*tasks)
        await one("/d")
        return seen

    monkeypatch.delenv("SEGMENT_TOKEN", raising=False)
    assert sorted(asyncio.run(all_of_them())) == [(200, path) for path in ("/a", "/b", "/d", "/healthz")] + [
        (429, "/c")
    ]


def test_a_404_of_plain_text_becomes_json() -> None:
    async def lost(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"Not Found"})

    status, body = ask([b""], path="/etc", app=lost)
    assert (status, detail(body)) == (404, "/etc: there is no such endpoint; GET /openapi.json lists them all")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/segment", "/segment"),
        ("/jobs/abc", "/jobs/{name}"),
        ("/jobs/a/result", "/jobs/{name}/result"),
        ("/info/", "/info/"),
        ("/infer/wsi_v2/unet", "/infer/wsi_v2/unet"),
        ("/infer/wsi_v2/another", "other"),
        ("/x", "other"),
    ],
)
def test_metrics_keep_few_rows_whatever_is_asked(path: str, name: str) -> None:
    assert kind(path) == name
