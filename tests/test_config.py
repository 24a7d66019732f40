"""Settings from several places: the last one wins, and every complaint names key, origin, expected and found."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.config import Settings
from tapewatch.dispatch.config import AlertsConfig
from tapewatch.errors import ConfigError
from tapewatch.view.terminal.command import TopConfig


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    url: str = "a"


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    level: Literal["high", "low"] = "high"
    sizes: tuple[float, ...] = ()


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1)] = 1
    inner: Inner = Inner()
    names: Annotated[tuple[str, ...], Meta(min_length=1)] = ("A",)
    share: float | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None
    limits: dict[str, float] = {}
    items: tuple[Item, ...] = ()

    def __post_init__(self) -> None:
        if self.names == ("A", "A"):
            raise ValueError("names: expected each once, found A twice")


def test_later_places_win(tmp_path: Path) -> None:
    file = tmp_path / "tapewatch.toml"
    file.write_text("[one]\ncount = 2\n[one.inner]\nurl = 'file'\n")
    environ = {"TAPEWATCH_ONE__COUNT": "3", "TAPEWATCH_ONE__INNER__URL": "environment", "OTHER": "x"}
    chosen = Settings.load(file, environ, ["one.count=4"]).with_flags("one", count=5, unset=None)
    assert chosen.section("one", Section) == Section(5, Inner("environment"))
    assert chosen.entries["one.count"].origin == "flag"
    assert chosen.entries["one.inner.url"].origin == "TAPEWATCH_ONE__INNER__URL"
    assert Settings.load(file, {}).section("one", Section) == Section(2, Inner("file"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["one.count=0"], "one.count in flag: expected a whole number >= 1, found 0"),
        (["one.count=many"], "one.count in flag: expected a whole number, found 'many'"),
        (["one.cuont=1"], "one.cuont in flag: unknown key, did you mean count?"),
        (["one.inner.address=1"], "one.inner.address in flag: unknown key"),
        (["one.inner=3"], "one.inner in flag: expected a section, found 3"),
        (["one.names=A"], """one.names in flag: expected a list like ["A", "B"], found 'A'"""),
        (["one.names=[]"], "one.names in flag: expected a list of at least 1, found []"),
        (['one.names=["A", 3]'], "one.names in flag: expected a text, found 3"),
        (["one.share=x"], "one.share in flag: expected a number, found 'x'"),
        (["one.since=x"], "one.since in flag: expected a time like 2026-07-07T22:58:00Z, found 'x'"),
        (["one.count=2", 'one.names=["A", "A"]'], "one.names in flag: expected each once, found A twice"),
        (
            ['one.items=[{name="a", level="x"}]'],
            "one.items in flag: item \"a\": level: expected one of high, low, found 'x'",
        ),
        (['one.items=[{name="a"}, {level="low"}]'], "one.items in flag: item 2: expected name, found {'level': 'low'}"),
        (['one.items=[{name="a", leve="low"}]'], 'one.items in flag: item "a": leve: unknown key, did you mean level?'),
        (
            ['one.items=[{name="a", sizes=["x"]}]'],
            "one.items in flag: item \"a\": sizes: expected a number, found ['x']",
        ),
        (['one.items=["a"]'], "one.items in flag: expected a section, found 'a'"),
        (["one.limits.A=x"], "one.limits in flag: expected a number, found 'x'"),
    ],
)
def test_a_wrong_value_is_named(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Settings.load(None, {}, overrides).section("one", Section)
    assert str(error.value) == message


@pytest.mark.parametrize("text", ["count", "count=1", "=1"])
def test_an_override_needs_section_and_value(text: str) -> None:
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        Settings.load(None, {}, [text])


@pytest.mark.parametrize("text", ["slack://hush/hush", "hush, hush=1", "alerts={url='hush'}"])
def test_an_override_that_may_hold_a_secret_is_not_told(text: str) -> None:
    with pytest.raises(ConfigError, match=r"section\.key=value") as caught:
        Settings.load(None, {}, [text])
    assert "hush" not in str(caught.value)


def test_a_key_is_named_with_its_place() -> None:
    chosen = Settings.load(None, {"TAPEWATCH_ONE__COUNT": "3"}, ["one.inner.url=x"])
    assert chosen.place("one.count") == "one.count in TAPEWATCH_ONE__COUNT"
    assert chosen.place("one.inner") == "one.inner in flag"
    assert chosen.place("one.names") == "one.names"


@pytest.mark.parametrize(
    ("content", "message"),
    [("[one\n", "not valid TOML"), ("count = 1\n", "outside any section")],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "tapewatch.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=message) as error:
        Settings.load(file, {})
    assert str(file) in str(error.value)


def test_sections_that_nobody_owns_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean capture"):
        Settings.load(None, {}, ["captur.symbols=1"]).only(["capture", "rules"])


def test_patterns_keep_their_dots_and_asterisks() -> None:
    chosen = Settings.load(None, {}, ['rules.abs_jump."BTC-*".limit_quote=5'])
    assert chosen.plain("rules") == {"abs_jump": {"BTC-*": {"limit_quote": 5}}}


@pytest.mark.parametrize("given", ['\'{"sasl.password": "hush"}\'', '["hush"]', "7"])
def test_what_may_be_a_password_is_not_told(given: str) -> None:
    chosen = Settings.load(None, {"TAPEWATCH_KAFKA__OPTIONS": given}, [])
    with pytest.raises(ConfigError, match=r"kafka\.options in TAPEWATCH_KAFKA__OPTIONS: expected a section") as caught:
        chosen.section("kafka", KafkaConfig)
    assert "hush" not in str(caught.value)


def test_all_that_is_wrong_in_a_section_is_told_at_once() -> None:
    wrong = ["top.hz=9", "top.themee=1", 'top.theme="blue"', "top.mean_bars=20"]
    with pytest.raises(ConfigError) as told:
        Settings.load(None, {}, wrong).section("top", TopConfig)
    lines = str(told.value).splitlines()
    assert len(lines) == 3
    assert "top.themee in flag: unknown key, did you mean theme?" in lines
    assert "top.theme in flag: expected one of dark, light, found 'blue'" in lines
    assert any(line.startswith("top.hz in flag: expected a number <= 4") for line in lines)


def test_all_that_is_wrong_in_the_tables_of_a_list_is_told_at_once() -> None:
    first = '{name="a", url="json://x", severity="hihg", budget_per_hour=0}'
    channels = f'[{first}, {{name="b", url="json://x", cool_down_s=-1}}]'
    with pytest.raises(ConfigError) as told:
        Settings.load(None, {}, [f"alerts.channels={channels}"]).section("alerts", AlertsConfig)
    lines = str(told.value).splitlines()
    assert len(lines) == 3
    assert [sum(name in line for line in lines) for name in ("severity", "budget_per_hour", "cool_down_s")] == [1, 1, 1]
