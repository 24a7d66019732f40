"""PromQL against our own metrics: expressions in, whatever in them no process of ours tells out."""

import ast
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import promql_parser
from prometheus_client.metrics import MetricWrapperBase

from support.images import ROOT
from support.missing import lacking
from tapewatch import telemetry
from tapewatch.alert import Verdict
from tapewatch.detect.rules import RULES
from tapewatch.model import Change

DEPLOY = ROOT / "deploy"
JOBS = {"run": 8711, "produce": 8712, "detect": 8713, "alerts": 8714}
TARGET = frozenset({"job", "instance"})
"""Labels that Prometheus itself gives each sample."""

ENDINGS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
VALUES = {
    "job": {f"tapewatch-{name}" for name in JOBS},
    "rule": {rule.name for rule in RULES},
    "change": {*get_args(get_type_hints(Change)["change"])},
    "verdict": {*get_args(Verdict), "waiting"},
    "outcome": {"accepted", "failed", "withheld"},
}
"""Of labels whose values are known beforehand."""


def metrics() -> dict[str, frozenset[str]]:
    """Name every sample that we can tell, and its labels, whether or not anything has happened yet."""
    found: dict[str, frozenset[str]] = {}
    for collector in telemetry.REGISTRY._collector_to_names:
        labels = collector._labelnames if isinstance(collector, MetricWrapperBase) else ()
        for metric in collector.collect():
            for ending in ENDINGS[metric.type]:
                bucket = {"le"} if ending == "_bucket" else set()
                found[metric.name + ending] = TARGET | bucket | frozenset(labels)
    return found


OURS = metrics()
KNOWN = {**OURS, "up": TARGET}


def base(name: str) -> str:
    """Name the metric that a sample belongs to.

    >>> base("tapewatch_commit_seconds_bucket"), base("tapewatch_commits_total")
    ('tapewatch_commit_seconds', 'tapewatch_commits_total')
    """
    return re.sub(r"_(?:bucket|sum|count)$", "", name)


def parsed(expression: str) -> Any:
    """Parse an expression; Grafana's own interval stands for any."""
    return promql_parser.parse(expression.replace("$__rate_interval", "1m"))


def nodes(expression: str) -> list[Any]:
    """Take an expression apart."""
    found: list[Any] = []
    promql_parser.walk(parsed(expression), found.append)
    return found


def selectors(expression: str) -> list[Any]:
    """Gather what an expression reads: selectors of series."""
    return [node for node in nodes(expression) if isinstance(node, promql_parser.VectorSelector)]


def labels_of(expression: str) -> frozenset[str]:
    """Gather the labels that a result has."""
    return _labels(parsed(expression))


def wrong(expression: str) -> Iterator[str]:
    """Tell what in an expression names a metric, a label or a value that there is not."""
    for each in selectors(expression):
        labels = KNOWN.get(each.name)
        if labels is None:
            yield f"no metric {each.name}"
            continue
        for matcher in each.matchers.matchers:
            if matcher.name not in labels:
                yield f"{each.name} has no label {matcher.name}"
            known = VALUES.get(matcher.name)
            if known and not any(re.fullmatch(matcher.value, value) for value in known):
                yield f"{matcher.name} is never {matcher.value}"
    for node in nodes(expression):
        below = frozenset[str]().union(*(KNOWN.get(each.name, TARGET) for each in selectors(node.prettify())))
        modifier = getattr(node, "modifier", None)
        given = modifier.matching if isinstance(modifier, promql_parser.BinModifier) else modifier
        yield from (f"nothing has the label {label}" for label in (given.labels if given else ()) if label not in below)


@cache
def bumped() -> frozenset[str]:
    """Name the metrics that our sources set or count anywhere outside `telemetry`."""
    named = {
        node.attr
        for path in (ROOT / "src" / "tapewatch").rglob("*.py")
        if path.name != "telemetry.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "telemetry"
    }
    return frozenset(_metric(getattr(telemetry, name)) for name in named) - {""}


def promtool() -> str:
    """Find Prometheus' own tool, whose engine judges the rules."""
    found = shutil.which("promtool")
    return found or lacking("promtool", FileNotFoundError("it comes with Debian's package prometheus"))


def anchors(document: Path) -> dict[str, str]:
    """Map the anchor of each heading of a document to the text below it."""
    parts = re.split(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")): text
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def _labels(node: Any) -> frozenset[str]:
    match node:
        case promql_parser.VectorSelector():
            return KNOWN.get(node.name, TARGET)
        case promql_parser.MatrixSelector():
            return _labels(node.vector_selector)
        case promql_parser.AggregateExpr():
            return frozenset(node.modifier.labels if node.modifier else ())
        case promql_parser.BinaryExpr():
            return _labels(node.lhs) or _labels(node.rhs)
        case promql_parser.Call():
            return frozenset[str]().union(*map(_labels, node.args))
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            return _labels(node.expr)
    return frozenset()


def _metric(thing: object) -> str:
    metric = thing.counter if isinstance(thing, telemetry.Event) else thing
    if not isinstance(metric, MetricWrapperBase):
        return ""
    (described,) = metric.describe()
    return described.name + ("_total" if described.type == "counter" else "")
