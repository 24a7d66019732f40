"""The dashboard in the browser: one process serves Streamlit's page, our components and the live channel.

In: a database to read, settings, a port. Out: a server, on loopback unless a person says otherwise, until it is
told to stop. It sends nothing anywhere, and loads nothing from elsewhere.
"""

import asyncio
import gc
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tapewatch import telemetry
from tapewatch.store.sight import Sight
from tapewatch.store.sql import Reader
from tapewatch.store.values import Values
from tapewatch.view.guard import LOOPBACK, Guard
from tapewatch.view.live import Hub
from tapewatch.view.routes import routes
from tapewatch.view.services import Services, provide
from tapewatch.view.theme import TOKENS, streamlit_theme

PAGE = Path(__file__).with_name("page.py")
FRONTEND = PAGE.with_name("frontend")
ASSETS = "./_stcore/bidi-components/tapewatch.top"
"""Where the browser finds our files."""

HOST = "127.0.0.1"
MESSAGE_MB = 8
"""Largest message of Streamlit's own socket; the page's are a few kilobytes."""


Port = Annotated[int, Meta(ge=1, le=65_535, description="Port of the page; none: 8710, or the next free one")]
Host = Annotated[str, Meta(min_length=1, description="Address to listen at; any but loopback lets others in")]
Refresh = Annotated[float, Meta(ge=0.5, le=60, description="Seconds between counts; chart and log are faster")]
Hosts = Annotated[tuple[str, ...], Meta(description="Names of a reverse proxy under which the dashboard is reached")]


class DashboardConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Section ``dashboard``."""

    host: Host = HOST
    port: Port | None = None
    refresh_s: Refresh = 3.0
    allowed_hosts: Hosts = ()


def serve(
    reader: Reader,
    config: DashboardConfig,
    port: int,
    clock: Sight,
    announce: Callable[[], object],
    ask: Callable[[str, Values], str],
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Parameters
    ----------
    port
        Free.
    clock
        Tells what time it is for who writes the database.
    announce
        Is called as soon as the server answers.
    ask
        See `Services`.
    """
    import streamlit as st

    _quiet_uvicorn()
    provide(Services(reader, clock, ask))
    hub = Hub(reader, clock, config.refresh_s, differs=clock.difference)
    app = st.App(
        PAGE,
        routes=[Route("/", index), *routes(reader, hub, clock, ask)],
        lifespan=lambda _: lifespan(hub, announce),
        middleware=[Middleware(Guard, hosts=config.allowed_hosts)],
    )
    app.run(config=settings(port, config.allowed_hosts, config.host))


def settings(port: int, allowed_hosts: tuple[str, ...] = (), host: str = HOST) -> dict[str, object]:
    """Configure Streamlit: where to listen, silence, nothing for developers, our colours.

    `postScriptGC` alone is a factor of ten in the server's load: it would collect all generations after each run.
    """
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "server.allowRunOnSave": False,
        "server.allowedHosts": [*LOOPBACK, *allowed_hosts],
        "server.maxMessageSize": MESSAGE_MB,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "global.suppressDeprecationWarnings": True,
        "logger.level": "warning",
        "logger.hideWelcomeMessage": True,
        "runner.postScriptGC": False,
        "runner.magicEnabled": False,
        **streamlit_theme(),
    }


@asynccontextmanager
async def lifespan(hub: Hub, announce: Callable[[], object]) -> AsyncIterator[None]:
    """Follow the database while the server runs; a follower that fails takes the server with it."""
    following = asyncio.create_task(hub.run(), name="hub")
    following.add_done_callback(_failed)
    gc.collect()
    gc.freeze()  # what is loaded now stays; collections need not look at it again
    announce()  # the port is bound by now: who connects is served
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def index(_: Request) -> Response:
    """Answer with Streamlit's page, with our title, icon and ground; dark unless the visitor has chosen otherwise."""
    return HTMLResponse(_index(), headers={"cache-control": "no-cache"})


@cache
def _index() -> str:
    import streamlit

    html = (files(streamlit) / "static" / "index.html").read_text(encoding="utf-8")
    for pattern, ours in (
        (r"<head>", f"<head>{_head()}"),
        (r"<title>.*?</title>", "<title>tapewatch</title>"),
        (r'<link rel="shortcut icon"[^>]*>', f'<link rel="icon" href="{ASSETS}/favicon.svg" />'),
        (r'<link\s+rel="preload"[^>]*as="font"[^>]*>', ""),
        (r"(?s)<noscript>.*?</noscript>", "<noscript><p>tapewatch needs JavaScript to show prices.</p></noscript>"),
    ):
        html = re.sub(pattern, ours.replace("\\", r"\\"), html, count=1)
    return html


def _head() -> str:
    # Streamlit takes the system's theme where nothing is stored; ours is dark until somebody chooses. Our modules are
    # named here, so that they come beside Streamlit's own and not one after the other behind them.
    ground = TOKENS["ground"]
    theme = (
        "(k=>{let t=localStorage.getItem(k);if(!t)localStorage.setItem(k,t='\"Dark\"');"
        f"document.documentElement.style.background=t==='\"Light\"'?'{ground.light}':'{ground.dark}'}})"
        "('stActiveTheme-'+location.pathname+'-v2')"
    )
    page = "document.documentElement.dataset.page=new URLSearchParams(location.search).get('page')||''"
    modules = sorted(path.relative_to(FRONTEND).as_posix() for path in FRONTEND.glob("*/*.*js"))
    preloads = (f'<link rel="modulepreload" href="{ASSETS}/{module}">' for module in modules)
    return f"<script>{theme};{page}</script>{''.join(preloads)}"


def _failed(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        telemetry.log(telemetry.DASHBOARD_FAILED, error=repr(error))
        os.kill(os.getpid(), signal.SIGTERM)


def _quiet_uvicorn() -> None:
    # Its start and stop are not news to anybody who reads our log.
    import uvicorn.config

    loggers: dict[str, Any] = uvicorn.config.LOGGING_CONFIG["loggers"]
    loggers["uvicorn"]["level"] = "WARNING"
