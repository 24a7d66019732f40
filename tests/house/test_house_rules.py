"""House rules, each with what to do instead."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "tapewatch"
LINES_PER_FILE, LINES_PER_FUNCTION = 400, 70

CLOCKS = ("clock.py", "capture/session.py", "runtime/", "view/", "cli/", "simulate/exchange.py")
BANNED = {
    "print": ("return it, or use telemetry.log()", ()),
    "time.time": ("take now_ns as an argument", CLOCKS),
    "time.time_ns": ("take now_ns as an argument", CLOCKS),
    "time.monotonic": ("take now_ns as an argument", CLOCKS),
    "time.monotonic_ns": ("take now_ns as an argument", CLOCKS),
    "time.sleep": ("wait on something, with a time-out", ()),
    "datetime.now": ("take now_ns as an argument", ()),
    "datetime.utcnow": ("take now_ns as an argument", ()),
    "random.random": ("take a seeded generator", ()),
    "asyncio.sleep": ("use the sleep that was injected", CLOCKS),
}


def python_files() -> list[Path]:
    return sorted(path for folder in ("src", "tests", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py"))


def written_files() -> list[Path]:
    frontend = SOURCE / "view" / "frontend"
    ours = (path for path in frontend.rglob("*.*") if "vendor" not in path.parts)
    front = [path for path in ours if path.suffix in {".js", ".mjs", ".css"}]
    return python_files() + sorted(front)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    found = [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()]
    assert found, "these rules are about what git holds: run them in a checkout, with git installed"
    return found


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", written_files(), ids=name_of)
def test_files_are_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LINES_PER_FILE, f"{lines} lines, {LINES_PER_FILE} at most: split it where it does two things"


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= LINES_PER_FUNCTION, f"{node.name}: {lines} lines, {LINES_PER_FUNCTION} at most"


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=name_of)
def test_nothing_banned_is_called(path: Path) -> None:
    inside = path.relative_to(SOURCE).as_posix()
    for called, line in calls(ast.parse(path.read_text())):
        for banned, (instead, allowed) in BANNED.items():
            if called == banned and not inside.startswith(allowed or ("//",)):
                pytest.fail(f"{name_of(path)}:{line}: {called}: {instead}")


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=name_of)
def test_modules_say_what_comes_in_and_what_goes_out(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "open with a docstring of two lines"


def test_no_file_names_a_package_index_or_leaves_a_note_to_itself() -> None:
    index = re.compile(r"--(?:extra-)?index-url|https?://[^\s\"')]*(?:/simple\b|/maven2|registry\.)|\"resolved\": *\"")
    notes = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|NotImplementedError|# type: ignore(?!\[)|# noqa(?!:)")
    for path in tracked_files():
        if "vendor" in path.parts or path == Path(__file__) or path.suffix in {".woff2", ".png", ".svg"}:
            continue
        text = path.read_text()
        assert not index.search(text), f"{name_of(path)} names a package index: {index.search(text)}"
        if path.suffix in {".py", ".js", ".sh"}:
            assert not notes.search(text), f"{name_of(path)}: {notes.search(text)}: finish it, or write an issue"


def test_decisions_have_all_their_parts() -> None:
    parts = ("Status", "Context", "Decision", "Alternatives", "Consequences", "How we would notice")
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert decisions
    for path in decisions:
        text = path.read_text()
        missing = [part for part in parts if f"**{part}" not in text]
        assert not missing, f"{name_of(path)} lacks {', '.join(missing)}"


def test_links_between_documents_lead_somewhere() -> None:
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{name_of(path)} links to {target}, which is not there"
