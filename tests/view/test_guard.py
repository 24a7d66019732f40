import asyncio

import pytest

from tapewatch.view.guard import Guard


async def hello(scope, _receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def ask(path, hosts=(), kind="http", **headers):
    """Send a request through the guard; returns what the client would see."""
    sent = []

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in ({"host": "127.0.0.1:8710"} | headers).items()]
    scope = {"type": kind, "method": "GET", "path": path, "headers": raw, "http_version": "1.1", "scheme": kind}
    asyncio.run(Guard(hello, hosts)(scope, lambda: None, send))
    return sent


def status(path, **headers):
    return ask(path, **headers)[0]["status"]


def socket_opens(**headers):
    return ask("/api/live", kind="websocket", **headers)[0]["type"] == "websocket.accept"


@pytest.mark.parametrize("host", ["127.0.0.1:8710", "localhost", "LocalHost:9000", "[::1]:8710"])
def test_loopback_by_any_name_and_port(host):
    assert status("/", host=host) == 200
    assert socket_opens(host=host)


@pytest.mark.parametrize(
    "host", ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test:8710", "[::2]", "", "[", "127.0.0.2"]
)
@pytest.mark.parametrize("path", ["/", "/api/x"])
def test_a_name_that_was_led_here_is_refused(host, path):
    start, body = ask(path, host=host)
    assert start["status"] == 403
    assert b"dashboard.allowed_hosts" in body["body"]
    assert not socket_opens(host=host)


@pytest.mark.parametrize(
    "origin", ["http://evil.test", "https://127.0.0.1.evil.test:8710", "http://localhost:9999", "null"]
)
def test_pages_of_other_sites_may_not_read_ours(origin):
    assert status("/api/x", origin=origin) == 403
    assert not socket_opens(origin=origin)


@pytest.mark.parametrize("headers", [{}, {"origin": "http://127.0.0.1:8710"}, {"origin": "HTTP://127.0.0.1:8710"}])
def test_our_own_page_and_programs_without_an_origin_may(headers):
    assert status("/api/x", **headers) == 200
    assert socket_opens(**headers)


def test_a_reverse_proxys_name_can_be_allowed():
    headers = {"host": "tape.example", "origin": "https://tape.example"}
    assert ask("/api/x", hosts=("Tape.Example",), **headers)[0]["status"] == 200


def test_nothing_may_be_loaded_from_elsewhere():
    policy = dict(ask("/")[0]["headers"])[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
