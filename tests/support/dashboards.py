"""The dashboard as a process of its own, and an ear on the page that shows it."""

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
from playwright.sync_api import Page, Request

OUTAGE = ("ERR_CONNECTION_REFUSED", "WebSocket connection", "Failed to load", "server endpoint", "is not responding")
"""What a browser and Streamlit write to the console while there is no server."""


class Server:
    """`tapewatch dashboard` on a port of its own."""

    def __init__(self, db: Path) -> None:
        self.db = db
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [sys.executable, "-m", "tapewatch", "dashboard", "--db", str(self.db), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(400):
            assert self.process.poll() is None, "the dashboard ended at its start"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/api/health").is_success:
                    return
            time.sleep(0.1)
        raise AssertionError("the dashboard did not answer")

    def stop(self) -> int:
        """Ask it to stop; it may take five seconds, with pages open."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(5)
        finally:
            self.process.kill()
            self.process.wait()
            self.process = None


class Watched:
    """What a page must not do: fail, complain, or talk to anybody else."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.expected: tuple[str, ...] = ()

    def attach(self, page: Page) -> None:
        """Listen."""
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        page.on(
            "console",
            lambda message: self.faults.append(f"console: {message.text}") if message.type == "error" else None,
        )
        page.on("request", self._asked)

    def _asked(self, request: Request) -> None:
        url = request.url
        if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.faults.append(f"request to {url}")

    def check(self) -> None:
        """Complain about everything that was not expected."""
        unexpected = [fault for fault in self.faults if not any(part in fault for part in self.expected)]
        assert not unexpected, "\n".join(unexpected)
