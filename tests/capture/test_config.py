import pytest

from tapewatch.capture.config import CaptureConfig
from tapewatch.config import Settings
from tapewatch.errors import ConfigError


def decode(*overrides: str) -> CaptureConfig:
    return Settings.load(None, {}, overrides).section("capture", CaptureConfig)


def test_the_defaults_are_coinbase_and_three_symbols() -> None:
    config = decode()
    assert config.symbols == ("BTC-USD", "ETH-USD", "SOL-USD")
    assert config.coinbase.ws_url == "wss://ws-feed.exchange.coinbase.com"
    assert config.coinbase.rest_url == "https://api.exchange.coinbase.com"


def test_symbols_and_both_addresses_can_be_set() -> None:
    config = decode(
        'capture.symbols=["DOGE-USD"]',
        "capture.coinbase.ws_url=ws://127.0.0.1:8720",
        "capture.coinbase.rest_url=http://127.0.0.1:8720",
        "capture.silence_s=5",
    )
    assert config.symbols == ("DOGE-USD",)
    assert config.coinbase.ws_url == "ws://127.0.0.1:8720"
    assert config.silence_s == 5.0


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("capture.symbols=[]", "capture.symbols"),
        (
            'capture.symbols=["A-USD", "A-USD"]',
            "capture.symbols in flag: expected each symbol once, found A-USD more than",
        ),
        ("capture.silence_s=0", "capture.silence_s"),
        ("capture.coinbase.ws_url=https://example.com", "capture.coinbase.ws_url"),
        ("capture.coinbase.ws_url=ws://[bad", "capture.coinbase.ws_url in flag: expected an address like wss://host, "),
        ("capture.coinbase.rest_url=https://", "capture.coinbase.rest_url"),
        ("capture.coinbase.ws_url=wss://a b", "capture.coinbase.ws_url"),
        ("capture.coinbase.rest_url=example", "capture.coinbase.rest_url"),
        ("capture.coinbase.venue=", "capture.coinbase.venue in flag: expected 1 to 64 characters without blanks"),
        ('capture.coinbase.venue="a:b"', "capture.coinbase.venue in flag: expected 1 to 64 characters without blanks"),
        ("capture.symbol=BTC-USD", "capture.symbol"),
        ("capture.backoff_max_s=100000", "capture.backoff_max_s"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(override: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode(override)
    assert key in str(caught.value)


@pytest.mark.parametrize(
    ("ws_url", "venue"),
    [
        ("wss://ws-feed.exchange.coinbase.com", "coinbase"),
        ("wss://ws-direct.exchange.coinbase.com:443", "coinbase"),
        ("wss://ws-feed-public.sandbox.exchange.coinbase.com", "simulated"),
        ("ws://127.0.0.1:8720", "simulated"),
        ("ws://exchange:8720", "simulated"),
        ("wss://relay.example/ws-feed.exchange.coinbase.com", "simulated"),
        ("wss://ws-feed.exchange.coinbase.com.example.net", "simulated"),
        ("wss://fakeexchange.coinbase.com", "simulated"),
    ],
)
def test_only_what_comes_from_coinbases_own_address_is_called_coinbase(ws_url: str, venue: str) -> None:
    assert decode(f"capture.coinbase.ws_url={ws_url}").coinbase.called == venue


def test_a_person_may_say_what_a_venue_is_called() -> None:
    config = decode("capture.coinbase.ws_url=ws://127.0.0.1:8720", "capture.coinbase.venue=coinbase")
    assert config.coinbase.called == "coinbase"
