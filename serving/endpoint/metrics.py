"""How many requests of each kind were answered how, and how long they took, with their waiting: for Prometheus. ASGI.

Takes the place of BentoML's own metrics, which keep a row for every path that anybody ever tried, and so grow without
end under a scan, and with every job. prometheus-fastapi-instrumentator does so, too: behind BentoML's router, which
redirects /jobs/abc/ to /jobs/abc, each such path has a row of its own.
"""

import time
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

from serving.endpoint.limits import App, Message, Receive, Send

ENDPOINTS = (
    *("/", "/model", "/model.zip", "/segment", "/objects", "/segment_batch", "/jobs", "/openapi.json"),
    *("/info/", "/infer/wsi_v2/unet", "/infer/wsi_v2/unet_split"),
)
UNCOUNTED = ("/metrics", "/healthz", "/livez", "/readyz")
BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)

REQUESTS = Counter("segment_requests", "Requests answered", ["endpoint", "status"])
LATENCY = Histogram("segment_request_seconds", "Seconds of a request, waiting included", ["endpoint"], buckets=BUCKETS)


class MetricsMiddleware:
    """Stands outermost, so that refusals count, too."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self.app(scope, receive, send)
            return
        status: Any = "none"  # the client left before there was an answer
        begin = time.perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, note)
        finally:
            endpoint = kind(scope["path"])
            REQUESTS.labels(endpoint, status).inc()
            LATENCY.labels(endpoint).observe(time.perf_counter() - begin)


def kind(path: str) -> str:
    """One of few names, whatever is asked."""
    if path.startswith("/jobs/"):
        return "/jobs/{name}/result" if path.endswith("/result") else "/jobs/{name}"
    return path if path in ENDPOINTS else "other"


def exposition() -> tuple[bytes, str]:
    """All metrics of this process, and their media type."""
    return generate_latest(), CONTENT_TYPE_LATEST
