"""The dashboard as a process of its own, a browser before it, and a database that somebody writes."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from support.dashboards import Server, Watched
from support.missing import lacking
from support.writing import Writer

SWITCHED_OFF = ("gpu", "quic", "background-networking", "component-update", "sync", "extensions", "default-apps")
FLAGS = ["--no-sandbox", "--no-first-run", "--mute-audio", *(f"--disable-{feature}" for feature in SWITCHED_OFF)]
SYSTEM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE_MS = 30_000
BROWSER = "Chromium (the system's, or: python -m playwright install chromium)"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Of a module, not of the session: Playwright keeps an event loop running in this thread while it
    # lives, and no asynchronous test of another module could run beside it.
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=SYSTEM, args=FLAGS)
        except Error as error:
            lacking(BROWSER, error)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writer]:
    writer = Writer(tmp_path_factory.mktemp("db") / "x.db")
    writer.history(3_000)
    with writer:
        yield writer


@pytest.fixture(scope="module")
def server(writer: Writer) -> Iterator[Server]:
    server = Server(writer.path)
    server.start()
    yield server
    server.stop()


Open = Callable[..., Page]


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.check()


@pytest.fixture
def browse(chromium: Browser, watched: Watched) -> Iterator[Open]:
    """Give a function that opens a page and waits until it is ready."""
    contexts: list[BrowserContext] = []

    def browse(
        url: str,
        *,
        ready: str = ".tw-chart[data-bars]:not([data-bars='0'])",
        width: int = 1440,
        height: int = 900,
        **options: object,
    ) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        watched.attach(page)
        page.goto(url)
        page.wait_for_selector(ready)
        return page

    yield browse
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def module(server, chromium):
    """Give a function that runs JavaScript with some of our modules at hand, as `m`, and its argument, as `x`."""
    page = chromium.new_page()
    page.goto(f"{server.url}/api/health")
    base = f"{server.url}/_stcore/bidi-components/tapewatch.top"

    def run(names: str, body: str, argument: object) -> object:
        loads = ", ".join(f'import("{base}/{name}.js")' for name in names.split())
        return page.evaluate(
            f"async (x) => {{ const m = Object.assign({{}}, ...await Promise.all([{loads}])); {body} }}", argument
        )

    yield run
    page.close()
