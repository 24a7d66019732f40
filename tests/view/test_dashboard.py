import re
from pathlib import Path

import msgspec
import pytest

from tapewatch.config import Settings
from tapewatch.errors import ConfigError
from tapewatch.view import dashboard
from tapewatch.view.dashboard import FRONTEND, DashboardConfig, settings

IMPORT = re.compile(r'^(?:import|export)\b[^;]*?from\s+"([^"]+)";', re.MULTILINE | re.DOTALL)
MODULES = [path for path in FRONTEND.rglob("*.js") if "vendor" not in path.parts]


@pytest.fixture(scope="module")
def html():
    return dashboard._index()


def test_the_page_is_ours(html):
    assert "<title>tapewatch</title>" in html
    assert "favicon.png" not in html
    assert "Streamlit app" not in html
    assert "SourceSans" not in html, "a font that is not used is not fetched"


def test_it_is_dark_before_anything_is_loaded(html):
    assert html.index("stActiveTheme-") < html.index('type="module"')
    assert dashboard.TOKENS["ground"].dark in html


def test_all_modules_are_fetched_at_once(html):
    named = re.findall(r'rel="modulepreload" href="\./_stcore/bidi-components/tapewatch\.top/([^"]+)"', html)
    inner = {path.relative_to(FRONTEND).as_posix() for path in MODULES if path.parent != FRONTEND}
    assert set(named) == inner | {"vendor/lightweight-charts.standalone.production.mjs"}


def test_every_import_is_a_file_of_ours():
    assert MODULES
    for path in MODULES:
        found = IMPORT.findall(path.read_text(encoding="utf-8"))
        for target in found:
            place = (
                FRONTEND / target.removeprefix("../tapewatch.top/") if path.parent == FRONTEND else path.parent / target
            )
            assert place.resolve().is_file(), f"{path.name} imports {target}"


def test_nothing_in_the_frontend_names_another_server():
    for path in (*MODULES, *FRONTEND.glob("*.css")):
        addresses = set(re.findall(r"https?://[^\s\"')]+", path.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg", "https://www.tradingview.com/"}, path.name


def test_files_stay_short():
    for path in (*MODULES, *FRONTEND.glob("*.css")):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 400, path.name


def test_streamlit_is_told_to_keep_quiet():
    chosen = settings(8710)
    assert chosen["server.address"] == "127.0.0.1"
    assert chosen["browser.gatherUsageStats"] is False
    assert chosen["runner.postScriptGC"] is False
    assert chosen["server.fileWatcherType"] == "none"
    assert "evil.test" not in settings(8710)["server.allowedHosts"]
    assert "tape.example" in settings(8710, ("tape.example",))["server.allowedHosts"]


def test_streamlit_knows_every_setting():
    from streamlit.web.server.starlette.starlette_app import _validate_run_config

    assert _validate_run_config(settings(8710)) == settings(8710)


@pytest.mark.parametrize(
    ("value", "word"),
    [("port=0", "port"), ("port=70000", "port"), ("refresh_s=0.1", "refresh_s"), ("colour=1", "colour")],
)
def test_wrong_settings(value, word):
    with pytest.raises(ConfigError, match=word):
        Settings.load(None, {}, [f"dashboard.{value}"]).section("dashboard", DashboardConfig)


def test_defaults():
    assert msgspec.convert({}, DashboardConfig) == DashboardConfig(port=None, refresh_s=3.0, allowed_hosts=())


def test_notices_of_what_is_bundled_lie_beside_it():
    vendor = FRONTEND / "vendor"
    for name in ("inter.LICENSE", "lightweight-charts.LICENSE"):
        assert (vendor / name).stat().st_size > 1_000
    root = Path(__file__).parents[2]
    assert "TradingView" in (root / "NOTICE").read_text(encoding="utf-8")
