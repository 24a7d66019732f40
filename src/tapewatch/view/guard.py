"""Only this machine's own pages may talk to us: the Host of every request, the Origin of those to our routes.

In: ASGI requests. Out: the same, or a refusal in one sentence. Streamlit checks its own socket; a page of
another site that was led here by a changed name (DNS rebinding) fails at the Host, a cross-site request at
the Origin.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "worker-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'"
)
"""Nothing is fetched from elsewhere, and nobody frames the page; Streamlit's own page needs the rest."""


class Guard:
    """Refuse requests that were not meant for us.

    Parameters
    ----------
    app
        Whom to protect.
    hosts
        Names under which the dashboard is reached, besides those of loopback.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = LOOPBACK | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        reason = self._refusal(scope)
        if reason is None:
            await self._app(scope, receive, _with_policy(send) if scope["type"] == "http" else send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            await PlainTextResponse(f"{reason}\n", 403)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            return f"this dashboard is not {host or 'without a Host'}; add the name to dashboard.allowed_hosts"
        origin = headers.get("origin")
        ours = scope["path"].startswith("/api/")
        if ours and origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return f"a page of {origin} may not read this dashboard"
        return None


def _name(host: str) -> str | None:
    # The name without the port; brackets around an IPv6 address go.
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _with_policy(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message["headers"],
                (b"content-security-policy", POLICY.encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"referrer-policy", b"no-referrer"),
            ]
        await send(message)

    return sent
