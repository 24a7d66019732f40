"""How the runtime stands, over HTTP on loopback: ``/healthz``, ``/readyz`` and Prometheus' ``/metrics``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tapewatch import telemetry
from tapewatch.runtime.source import Partly

UNAVAILABLE = 503
PARTLY = "partly ready"
"""Status while some lanes are not live; who starts a process need not wait for those."""


def application(describe: Callable[[], dict[str, Any]], trouble: Callable[[], str | None]) -> Starlette:
    """Build the endpoints.

    Parameters
    ----------
    describe
        What ``/healthz`` tells: that we answer, and how far we have come.
    trouble
        Why we are not ready, `Partly` where it concerns some lanes; None when we are.
    """

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok", **describe()})

    async def readyz(_: Request) -> Response:
        reason = trouble()
        if reason is None:
            return JSONResponse({"status": "ready"})
        status = PARTLY if isinstance(reason, Partly) else "not ready"
        return JSONResponse({"status": status, "reason": reason}, status_code=UNAVAILABLE)

    async def metrics(_: Request) -> Response:
        telemetry.READY.set(trouble() is None)
        return Response(generate_latest(telemetry.REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


class Server(uvicorn.Server):
    """A server in an event loop that is somebody else's: signals are not its business."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
