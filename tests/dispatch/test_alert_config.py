"""The section `alerts`: what it takes, what it refuses, and that no error and no repr tells an address."""

import traceback
from pathlib import Path
from typing import Any

import pytest
from rich.pretty import pretty_repr

from tapewatch.config import Settings
from tapewatch.dispatch.config import AlertsConfig, ChannelConfig, unknown_rule
from tapewatch.errors import ConfigError

HOOK = "json://hush-user:hush-pass@localhost/hush-path?+hush-header=hush-value"


def read(value: str) -> AlertsConfig:
    return Settings.load(None, {"TAPEWATCH_ALERTS__CHANNELS": value}).section("alerts", AlertsConfig)


def refused(value: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(value)
    whole = "".join(traceback.format_exception(caught.value)) + repr(_chain(caught.value))
    assert "hush" not in whole, "a secret was told"
    return str(caught.value).removeprefix("alerts.channels in TAPEWATCH_ALERTS__CHANNELS: ")


def _chain(error: BaseException | None) -> list[Any]:
    return [] if error is None else [*error.args, *_chain(error.__context__), *_chain(error.__cause__)]


class TestPlaces:
    def test_without_settings_nobody_is_told(self) -> None:
        assert Settings.load(None, {}).section("alerts", AlertsConfig).channels == ()

    def test_a_file_has_tables(self, tmp_path: Path) -> None:
        file = tmp_path / "tapewatch.toml"
        file.write_text(
            """
            [alerts]
            group_s = 5
            [[alerts.channels]]
            name = "phone"
            url = "tgram://1:a/2"
            severity = "medium"
            rules = ["pct_*", "silent_feed"]
            [[alerts.channels]]
            name = "mail"
            url_env = "HOOK"
            ends = true
            budget_per_hour = 3
            """
        )
        config = Settings.load(file, {}).section("alerts", AlertsConfig)
        assert config.group_s == 5
        assert config.channels == (
            ChannelConfig("phone", "tgram://1:a/2", severity="medium", rules=("pct_*", "silent_feed")),
            ChannelConfig("mail", url_env="HOOK", ends=True, budget_per_hour=3),
        )

    def test_the_environment_has_a_list_in_one_line(self) -> None:
        config = read('[{name="x",url="json://localhost",symbols=["BTC-*"]},{name="y",url_file="/run/y"}]')
        assert config.channels == (
            ChannelConfig("x", "json://localhost", symbols=("BTC-*",)),
            ChannelConfig("y", url_file="/run/y"),
        )

    def test_a_flag_has_it_too(self) -> None:
        chosen = Settings.load(None, {}, ['alerts.channels=[{name="x",url="json://localhost"}]', "alerts.group_s=0"])
        config = chosen.section("alerts", AlertsConfig)
        assert (config.channels[0].name, config.group_s) == ("x", 0)


class TestRefusals:
    @pytest.mark.parametrize(
        ("channel", "said"),
        [
            ("", "expected one of url, url_file and url_env, found none"),
            ('url="",', "expected one of url, url_file and url_env, found none"),
            (f'url="{HOOK}",url_env="B"', "expected one of url, url_file and url_env, found url and url_env"),
            ('url_file="json://hush/"', "url_file: expected the path of a file, found an address"),
            ('url_env="json://hush/"', "url_env: expected the name of an environment variable"),
            (f'url="{HOOK}",rules=["pct_spik"]', "rules: 'pct_spik' matches no rule; did you mean pct_spike?"),
            (f'url="{HOOK}",rules=["zzz"]', "rules: 'zzz' matches no rule; expected some of pct_spike, vol_breakout"),
            (f'url="{HOOK}",rules="abs_jump"', 'rules: expected a list like ["A", "B"], found a text'),
            (f'url="{HOOK}",symbols=[""]', "symbols: expected a text of at least 1 character(s), found a list"),
            (f'url="{HOOK}",severity="{HOOK}"', "severity: expected one of high, medium, low, found a text"),
            (f'url="{HOOK}",budget_per_hour=0', "budget_per_hour: expected a whole number >= 1, found 0"),
            (f'url="{HOOK}",cool_down_s=-1', "cool_down_s: expected a number >= 0.0, found -1"),
            (f'ulr="{HOOK}"', "ulr: unknown key, did you mean url?"),
            (f'url=["{HOOK}"]', "url: expected a text, found a list"),
        ],
    )
    def test_a_channel_is_named(self, channel: str, said: str) -> None:
        found = refused(f'[{{name="phone",{channel}}}]'.replace(",}", "}"))
        assert found.startswith(f'channel "phone": {said}')

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (f'[{{url="{HOOK}"}}]', "channel 1: expected name, found a section"),
            (f'[{{name="{HOOK}",url="{HOOK}"}}]', "name: expected 1 to 40 letters, digits, - or _"),
            (f'[{{name="a",url="{HOOK}"}},{{name="a",url="{HOOK}"}}]', 'expected each name once, found "a" 2 times'),
            (f'["{HOOK}"]', "expected a section, found a text"),
            (f'[{{name="x",url="{HOOK}"', 'expected a list like ["A", "B"], found a text'),
            (f'{{phone={{url="{HOOK}"}}}}', 'expected a list like ["A", "B"], found a section'),
            (HOOK, 'expected a list like ["A", "B"], found a text'),
        ],
    )
    def test_what_is_no_list_of_channels(self, value: str, said: str) -> None:
        assert refused(value) == said

    def test_tables_instead_of_a_list_of_tables(self, tmp_path: Path) -> None:
        file = tmp_path / "tapewatch.toml"
        file.write_text(f'[alerts.channels.phone]\nurl = "{HOOK}"\n')
        with pytest.raises(ConfigError, match=r"^alerts\.channels in .*toml: expected a list") as caught:
            Settings.load(file, {}).section("alerts", AlertsConfig)
        assert "hush" not in str(caught.value)

    @pytest.mark.parametrize(
        ("override", "said"),
        [
            ("dashboard_url=localhost:8710", "alerts.dashboard_url in flag: expected an address like http://127.0.0.1"),
            ("dashboard_url=http://hush:hush@x", "alerts.dashboard_url in flag: expected an address like http://"),
            ("dashboard_url=http://[x", "alerts.dashboard_url in flag: expected an address like http://"),
            (
                "templates=/nowhere/at/all",
                "alerts.templates in flag: expected a folder, found none at '/nowhere/at/all'",
            ),
            ("keep_trying_s=0", "alerts.keep_trying_s in flag: expected a number > 0.0, found 0"),
            ("budget=3", "alerts.budget in flag: unknown key"),
        ],
    )
    def test_a_wrong_value_of_the_section(self, override: str, said: str) -> None:
        with pytest.raises(ConfigError) as caught:
            Settings.load(None, {}, [f"alerts.{override}"]).section("alerts", AlertsConfig)
        assert str(caught.value).startswith(said)
        assert "hush" not in str(caught.value)

    def test_links_can_be_left_out(self) -> None:
        assert Settings.load(None, {}, ['alerts.dashboard_url=""']).section("alerts", AlertsConfig).dashboard_url == ""


class TestAddresses:
    def test_they_stand_in_the_settings_a_file_or_a_variable(self, tmp_path: Path) -> None:
        (tmp_path / "hook").write_text(f"{HOOK}\n")
        assert ChannelConfig("x", url=HOOK).address({}) == HOOK
        assert ChannelConfig("x", url_file=str(tmp_path / "hook")).address({}) == HOOK
        assert ChannelConfig("x", url_env="HOOK").address({"HOOK": f" {HOOK} "}) == HOOK

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "url_file: expected one line with one address, found 0"),
            (b"json://hush\njson://hush\n", "url_file: expected one line with one address, found 2"),
            (b"json://hush\xff", "url_file: .*hook is no text"),
        ],
    )
    def test_a_file_without_one_address(self, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / "hook").write_bytes(content)
        with pytest.raises(ConfigError, match=f'^channel "x": {said}$') as caught:
            ChannelConfig("x", url_file=str(tmp_path / "hook")).address({})
        assert "hush" not in repr(_chain(caught.value))

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(
            ConfigError, match=r'channel "x": url_file: .*none cannot be read: No such file or directory'
        ):
            ChannelConfig("x", url_file=str(tmp_path / "none")).address({})
        with pytest.raises(ConfigError, match='channel "x": url_env: HOOK is not set'):
            ChannelConfig("x", url_env="HOOK").address({})


def test_no_repr_tells_an_address() -> None:
    config = read(f'[{{name="x",url="{HOOK}"}}]')
    shown = f"{config!r} {config} {config.channels[0]!r} {pretty_repr(config)} {pretty_repr(config.channels[0])}"
    assert "hush" not in shown
    assert shown.count("x") > 3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "High severity only, all rules"),
        ({"severity": "low", "ends": True}, "Low severity and above, all rules, ends, too"),
        (
            {"rules": ("pct_*", "abs_jump"), "symbols": ("BTC-*",), "venues": ("coinbase",)},
            "High severity only, pct_*, Dollar jump, symbols BTC-*, venues coinbase",
        ),
    ],
)
def test_what_it_takes_is_said(fields: dict[str, Any], said: str) -> None:
    assert ChannelConfig("x", url="json://localhost", **fields).takes == said


def test_a_rule_is_known_by_its_name_on_the_screen() -> None:
    chosen = ChannelConfig("phone", url="json://x", rules=("Fast move", "dollar-jump", "tape_*"))
    assert chosen.rules == ("pct_spike", "abs_jump", "tape_*")
    assert unknown_rule("Fast moov") == "'Fast moov' matches no rule; did you mean Fast move?"
