"""Where letters get their looks: a folder of templates in, an environment that renders them, and refusals, out.

Templates run in a sandbox, may use no field that does not exist, and escape what they put in for their format.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import Any, Final

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateNotFound,
    TemplateSyntaxError,
    UndefinedError,
    meta,
    nodes,
    pass_context,
)
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import asdict

from tapewatch.alert import MessageKind
from tapewatch.dispatch.fields import Item, Page
from tapewatch.errors import ConfigError

KINDS: Final[tuple[MessageKind, ...]] = ("symbol", "market", "digest", "sample", "health")

FORMATS: Final[dict[str, str]] = {
    "subject": "{}.subject.txt",
    "text": "{}.text.txt",
    "markdown": "{}.md",
    "html": "{}.html",
}
"""Part of a letter → the name of its template, by the message's kind."""

SHARED: Final = ("frame.html", "parts.html")
"""What stands around every letter in HTML, and what they are made of."""

NAMES: Final[tuple[str, ...]] = (*(form.format(kind) for kind in KINDS for form in FORMATS.values()), *SHARED)
"""Every template that there is."""

KEY: Final = "alerts.templates"
"""The setting that names the folder."""

PACKAGED: Final = PackageLoader("tapewatch.dispatch", "templates")

_MARKDOWN: Final = re.compile(r"[\\`*\[\]<>~|]|(?<![^\W_])_|_(?![^\W_])|&(?=#|\w+;)")
_LIVELY: Final = re.compile(r"@|(?<=:)(?=//)")


def own_names(folder: Path) -> frozenset[str]:
    """Find the templates in a person's folder; what begins with a dot is left alone.

    Raises
    ------
    ConfigError
        There is no such folder, a file in it has the name of no template, or it is no text.
    """
    if not folder.is_dir():
        raise ConfigError(f"{KEY}: expected a folder, found none at {folder}")
    path = folder
    try:
        found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        for name in found:
            path = folder / name
            if name not in NAMES:
                hint = _hint(name, {each: each for each in NAMES})
                raise ConfigError(f"{KEY}: {path}: no template has this name{hint} templates: {', '.join(NAMES)}")
            path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{KEY}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{KEY}: {path}: expected UTF-8, found other bytes") from None
    return frozenset(found)


def environment(folder: Path | None) -> Environment:
    """Make what renders templates: those of a folder, and ours where it has none; None: ours alone."""
    loader: BaseLoader = PACKAGED if folder is None else ChoiceLoader([FileSystemLoader(folder), PACKAGED])
    return ImmutableSandboxedEnvironment(
        loader=loader,
        autoescape=lambda name: name is not None and name.endswith((".html", ".md")),
        finalize=_finalize,
        undefined=_Missing,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(templates: Environment, name: str, said: Page) -> str:
    """Render one template; whatever it does wrong comes out."""
    return templates.get_template(name).render(asdict(said)).strip()


def check_names(templates: Environment, name: str) -> None:
    """Make sure that a template uses known fields alone, on the branches, too, that no example takes.

    Raises
    ------
    TemplateSyntaxError
        It cannot be parsed, or it names a field that does not exist.
    """
    assert templates.loader is not None
    source, path, _ = templates.loader.get_source(templates, name)
    tree = templates.parse(source, name, path)
    made = {found.name for found in tree.find_all(nodes.Name) if found.ctx == "store"}
    made |= {found.name for found in tree.find_all(nodes.Macro)}  # a block sees what is made outside it
    made |= {found.target for found in tree.find_all(nodes.Import)}
    unknown = meta.find_undeclared_variables(tree) - made - {*Page.__struct_fields__, *templates.globals}
    for found in tree.find_all(nodes.Name):
        if found.name in unknown:
            raise TemplateSyntaxError(no_field(missing, found.name), found.lineno, name, path)


@contextmanager
def refusals(name: str) -> Iterator[None]:
    """Make a `ConfigError` of whatever a template does wrong: its file, its line, and what is wrong there."""
    try:
        yield
    except TemplateSyntaxError as error:
        raise ConfigError(f"{KEY}: {error.filename or name} line {error.lineno}: {error.message}") from None
    except Exception as error:  # noqa: BLE001  # a template may do anything, and raise anything
        raise ConfigError(f"{KEY}: {_place(name, error)}: {reason(error)}") from None


def reason(error: Exception) -> str:
    """Say in one line why a template failed."""
    if isinstance(error, TemplateNotFound):
        return f"there is no template {error.name!r}"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:299]}…"  # noqa: PLR2004  # some sentences of Python have no end


def no_field(of: Any, name: object) -> str:
    """Say that a field does not exist, and which do."""
    fields = of.__struct_fields__ if isinstance(of, Struct) else Page.__struct_fields__
    meant = {field: field for field in fields}
    if not isinstance(of, Struct):
        meant = {field: f"lead.{field}" for field in Item.__struct_fields__} | meant
    return f"no field {name!r}{_hint(str(name), meant)} fields: {', '.join(fields)}"


class _Missing(StrictUndefined):
    # A name that is no field: whatever is done with it fails, and says which fields there are.

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: Any = None, exc: Any = UndefinedError
    ) -> None:
        ours = obj is missing or isinstance(obj, Struct)
        super().__init__(hint or (no_field(obj, name) if ours else None), obj, name, exc)


@pass_context
def _finalize(context: Context, value: object) -> object:
    # HTML is escaped by the environment; what is Markup was escaped before.
    if context.name is None or not context.name.endswith(".md") or isinstance(value, Markup):
        return value
    return Markup(in_markdown(str(value)))  # noqa: S704  # escaped for Markdown, by the line's own words


def in_markdown(text: str) -> str:
    """Escape text for Markdown as Slack, Discord and Telegram read it, so that it stays what it is.

    What has no meaning inside a line is left alone, since Slack shows each backslash that it does not expect. Nobody is
    mentioned, and nothing becomes a link. Data never begins a line in our templates: there, more would need an escape.
    """
    escaped = _MARKDOWN.sub(lambda found: f"\\{found[0]}", text)
    return _LIVELY.sub(lambda found: f"{found[0]}\N{ZERO WIDTH SPACE}", escaped)


def _place(name: str, error: Exception) -> str:
    # Jinja writes the templates' own files and lines into the traceback.
    frames = [frame for frame in extract_tb(error.__traceback__) if Path(frame.filename).name in NAMES]
    return f"{frames[-1].filename} line {frames[-1].lineno}" if frames else name


def _hint(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {known[near[0]]!r}?" if near else ";"
