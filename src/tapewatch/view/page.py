"""The page: filters whose choices stand in the URL, around components that keep themselves up to date.

Streamlit runs this script once for each visit and each choice; prices, anomalies and alerts do not come through it
but through the live channel. Market and alerts are both laid out; the browser shows the one that its address names.
"""

from functools import partial
from pathlib import Path
from typing import Any, Final

import streamlit as st
from msgspec import structs

from tapewatch.model import Direction, Severity
from tapewatch.view.export import MIME, Form, export
from tapewatch.view.queries import SIZES, Filter
from tapewatch.view.services import provided
from tapewatch.view.theme import Mode, palette, shell_variables
from tapewatch.words import RECENCIES, RULES, SEVERITIES, SPANS

SHELL: Final = Path(__file__).parent / "frontend" / "shell.css"

ONE, ALL = "This symbol", "All symbols"
DIRECTIONS: Final[dict[str, Direction | None]] = {"Both ways": None, "Up": "up", "Down": "down"}
SEVERITY_WORDS: Final[dict[str, Severity]] = {severity.capitalize(): severity for severity in SEVERITIES}
RULE_WORDS: Final = {word: rule for rule, word in RULES.items()}
SPAN_WORDS: Final = {word: seconds for seconds, word in RECENCIES.items()}
ANY_SIZE = "Any size"
SIZE_WORDS: Final = {ANY_SIZE: 0.0} | {f"≥ {least}×": float(least) for least in SIZES}
INK, COLOUR = "Light and dark", "Green and red"
CANDLES, LINE = "Candles", "Line"
MEAN_BARS, SIGMAS = 20, 2.0


def part(name: str, height: str, css: str = "tapewatch.css") -> Any:
    """Declare a component; its height stands in the HTML because the style sheet comes later."""
    html = f'<div class="tw tw-{name}" style="min-height:{height};opacity:0"></div>'
    return st.components.v2.component(f"tapewatch.{name}", html=html, css=css, js=f"{name}.js")


def choices() -> Filter:
    """Show the filters and return what is chosen; `symbols` is left open."""
    st.html('<h2 class="tw-h2">Anomalies</h2>', width="content")
    pick = partial(st.segmented_control, required=True, bind="query-params", label_visibility="collapsed")
    pick("Symbols", [ONE, ALL], default=ALL, key="scope")
    severities = st.pills(
        "Severity",
        list(SEVERITY_WORDS),
        selection_mode="multi",
        default=list(SEVERITY_WORDS),
        key="severity",
        bind="query-params",
        label_visibility="collapsed",
    )
    direction = DIRECTIONS[pick("Direction", list(DIRECTIONS), default="Both ways", key="direction")]
    # Before its widget has run for the first time, the choice stands in the URL alone.
    types = st.session_state["type"] if "type" in st.session_state else st.query_params.get_all("type")
    chosen = len(set(types) & set(RULE_WORDS))
    with st.popover("All types" if not chosen else f"{chosen} of {len(RULES)} types", key="types"):
        types = st.pills("Types", list(RULE_WORDS), selection_mode="multi", key="type", bind="query-params")
        st.caption("Choose none to see all.")
    # As with the types, the choice stands in the URL before its widget has run.
    least = st.session_state["size"] if "size" in st.session_state else st.query_params.get("size")
    with st.popover(least if least in SIZE_WORDS else ANY_SIZE, key="sizes"):
        least = pick("Size", list(SIZE_WORDS), default=ANY_SIZE, key="size")
        st.caption("How many times its limit an anomaly is. Those of a feed have no size.")
    last = pick("Recency", list(SPAN_WORDS), default=RECENCIES[3_600], key="last")
    return Filter(
        severities=tuple(SEVERITY_WORDS[word] for word in severities),
        rules=tuple(RULE_WORDS[word] for word in types),
        directions=(direction,) if direction else (),
        recency_s=SPAN_WORDS[last],
        min_size=SIZE_WORDS[least],
    )


def display() -> dict[str, Any]:
    """Show what concerns the drawing alone, and return it."""
    pick = partial(st.segmented_control, required=True, bind="query-params")
    with st.popover("Display", key="display"):
        style = pick("Price as", [CANDLES, LINE], default=CANDLES, key="style")
        colours = pick("Candles", [INK, COLOUR], default=INK, key="candles")
        bands = st.toggle("Mean and Bollinger bands", value=True, key="bands", bind="query-params")
        mean = st.number_input("Over how many bars", 2, 200, MEAN_BARS, key="mean", bind="query-params")
        sigmas = st.number_input("Width of the bands, σ", 0.5, 5.0, SIGMAS, 0.5, key="sigma", bind="query-params")
    return {
        "line": style == LINE,
        "colour": colours == COLOUR,
        "bands": bands,
        "mean": mean or MEAN_BARS,
        "sigmas": sigmas or SIGMAS,
    }


def files(wanted: Filter) -> None:
    """Offer what the log lists as files; they are made when somebody asks for them."""
    services = provided()
    with st.popover("Export", key="export"):
        forms: dict[Form, tuple[str, str]] = {"csv": ("CSV", "csv"), "json": ("JSON lines", "jsonl")}
        for form, (word, suffix) in forms.items():
            st.download_button(
                word,
                partial(_export, services.reader, wanted, services.clock, form),
                file_name=f"anomalies.{suffix}",
                mime=MIME[form],
                key=f"export-{form}",
                on_click="ignore",
                width="stretch",
            )


def _export(reader: Any, wanted: Filter, clock: Any, form: Form) -> bytes:
    return export(reader, wanted, clock(), form)


def shared(wanted: Filter, drawing: dict[str, Any]) -> dict[str, Any]:
    """Gather what all components are told; they share one store, so each tells it the same."""
    return {
        "filter": {
            "severities": wanted.severities,
            "rules": wanted.rules,
            "directions": wanted.directions,
            "one": st.session_state["scope"] == ONE,
            "recency": wanted.recency_s,
            "size": wanted.min_size,
        },
        "display": drawing,
        "palettes": {mode: palette(mode) for mode in ("dark", "light")},
        "rules": RULES,
        "spans": SPANS,
        "sizes": [(least, word) for word, least in SIZE_WORDS.items() if least],
        "anySize": ANY_SIZE,
        "everywhere": ALL,
    }


def choose() -> None:
    """Take the choices that a count in the page leads to; words that are none of ours are left out."""
    wanted = st.session_state["rail"].get("choose") or {}
    single = {"scope": [ONE, ALL], "size": list(SIZE_WORDS)}
    several = {"severity": list(SEVERITY_WORDS), "type": list(RULE_WORDS)}
    for key, value in wanted.items():
        if value in single.get(key, ()):
            st.session_state[key] = value
        elif key in several and isinstance(value, list):
            st.session_state[key] = [word for word in several[key] if word in value]


def page() -> None:
    """Lay the page out."""
    st.set_page_config(page_title="tapewatch", layout="wide", initial_sidebar_state="collapsed")
    mode: Mode = "light" if st.context.theme.type == "light" else "dark"
    st.html(f"<style>{shell_variables(mode)}{SHELL.read_text(encoding='utf-8')}</style>")
    above = st.container(key="above")
    with st.container(key="body", horizontal=True, gap=None, vertical_alignment="top"):
        with st.container(key="main", width="stretch", gap=None):
            over = st.container(key="over")
            with st.container(key="filters", horizontal=True, gap="small", vertical_alignment="center"):
                wanted = choices()
                exports = st.container(key="exports", width="content")
                drawing = display()
            under = st.container(key="under")
        side = st.container(key="side", width=364, gap=None)
    data = shared(wanted, drawing)
    with above:
        part("top", "48px")(key="top", data=data)
    with over:
        seen = part("chart", "304px")(key="chart", data=data, on_symbol_change=lambda: None)
    with exports:
        symbol = seen.get("symbol") if data["filter"]["one"] else None
        files(structs.replace(wanted, symbols=(symbol,) if symbol else ()))
    with under:
        part("log", "294px")(key="log", data=data)
    with side:
        part("rail", "400px")(key="rail", data=data, on_choose_change=choose)
    with st.container(key="telling", gap=None):
        part("alerts", "400px", "alerts.css")(key="alerts", data=data)
    part("foot", "28px")(key="foot", data=data)


if __name__ == "__main__":  # Streamlit runs the script under this name
    page()
