"""Java and the jars: what is missing, too old, damaged or out of reach is one sentence, and no wrong file is left."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tapewatch.errors import ConfigError, TapewatchError
from tapewatch.runtime import jars
from tapewatch.runtime.jars import JarSet, fetched, java

SET = JarSet("few", "org.example", "few_2.13", "1.0")
CONTENT = {"a.jar": b"first", "b.jar": b"second"}

Fake = Callable[[str], Path]


@pytest.fixture
def fake_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a program called java into a folder that is the whole PATH."""

    def make(script: str) -> Path:
        program = tmp_path / "bin" / "java"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        jars._java_version.cache_clear()
        return program

    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return make


@pytest.fixture(autouse=True)
def pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    monkeypatch.setattr(jars, "_pinned", lambda _: digests)


def cached(folder: Path) -> Path:
    place = folder / SET.name
    place.mkdir(parents=True)
    for name, content in CONTENT.items():
        (place / name).write_bytes(content)
    return place


class TestJava:
    @pytest.mark.parametrize(
        ("said", "found"),
        [('openjdk version "11.0.2" 2019-01-15', 11), ('java version "1.8.0_412"', 8), ('openjdk version "16"', 16)],
    )
    def test_one_that_is_too_old_is_told_with_what_to_install(self, fake_java: Fake, said: str, found: int) -> None:
        place = fake_java(f"echo '{said}' >&2")
        with pytest.raises(ConfigError) as refused:
            java()
        assert str(refused.value) == (
            f"Java 17 or newer is needed, found {found} ({place}); "
            "Debian and Ubuntu: apt install openjdk-17-jre-headless"
        )

    @pytest.mark.parametrize("said", ['openjdk version "17.0.15" 2025-04-15', 'openjdk version "25-ea" 2025-09-16'])
    def test_one_that_will_do(self, fake_java: Fake, said: str) -> None:
        place = fake_java(f"echo '{said}' >&2")
        assert java() == str(place)

    @pytest.mark.usefixtures("fake_java")
    def test_none(self) -> None:
        with pytest.raises(ConfigError, match=r"found none; .* apt install openjdk-17-jre-headless"):
            java()

    def test_one_that_does_not_tell(self, fake_java: Fake) -> None:
        fake_java("exit 1")
        with pytest.raises(ConfigError, match="does not tell its version"):
            java()

    def test_the_folder_that_spark_looks_in_comes_first(
        self, fake_java: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_java("echo 'openjdk version \"21.0.1\"' >&2")
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
        with pytest.raises(ConfigError, match=r"found none in JAVA_HOME \(.*gone\)"):
            java()


class TestFetched:
    @pytest.mark.usefixtures("fake_java")
    def test_what_is_at_hand_is_not_fetched_again(self, tmp_path: Path) -> None:
        place = cached(tmp_path)
        assert fetched(SET, tmp_path) == [place / name for name in CONTENT]  # there is no Java at all

    def test_a_file_with_another_checksum_is_removed_and_named(self, tmp_path: Path) -> None:
        place = cached(tmp_path)
        (place / "b.jar").write_bytes(b"tampered")
        expected, found = (hashlib.sha256(content).hexdigest() for content in (b"second", b"tampered"))
        with pytest.raises(TapewatchError) as refused:
            fetched(SET, tmp_path)
        assert str(refused.value) == (
            f"{place / 'b.jar'}: expected the checksum {expected}, found {found}; it was removed, try again"
        )
        assert [path.name for path in place.iterdir()] == ["a.jar"]

    def test_a_file_that_was_not_fetched_is_named(self, fake_java: Fake, tmp_path: Path) -> None:
        fake_java('[ "$1" = -version ] && echo \'version "17"\' >&2; exit 0')
        with pytest.raises(
            TapewatchError, match=r"a\.jar: expected it to be fetched, found no such file; remove .*few"
        ):
            fetched(SET, tmp_path)

    @pytest.mark.usefixtures("fake_java")
    def test_without_java_nothing_is_fetched(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="Java 17 or newer is needed, found none"):
            fetched(SET, tmp_path)
        assert not (tmp_path / SET.name).exists()

    def test_ivy_that_fails_is_asked_again_and_says_why(
        self, fake_java: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tapewatch.runtime.jars.PAUSES_S", (0.0, 0.0))
        tries = tmp_path / "tries"
        fake_java(
            f'[ "$1" = -version ] && echo \'version "17"\' >&2 && exit 0\necho >> {tries}\n'
            "echo ':: resolving'; echo '   UNRESOLVED DEPENDENCY: org.example#few_2.13;1.0: not found'; exit 1"
        )
        with pytest.raises(TapewatchError) as refused:
            fetched(SET, tmp_path)
        assert str(refused.value).startswith("few_2.13 1.0 cannot be fetched from Maven Central: UNRESOLVED DEPENDENCY")
        assert refused.value.exit_code == 1
        assert len(tries.read_text().splitlines()) == 3

    def test_ivy_that_fails_at_once_says_why(
        self, fake_java: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tapewatch.runtime.jars.PAUSES_S", ())
        fake_java("[ \"$1\" = -version ] && echo 'version \"17\"' >&2 && exit 0\necho 'no such class' >&2; exit 1")
        with pytest.raises(TapewatchError, match="Maven Central: no such class"):
            fetched(SET, tmp_path)


def test_the_cache_is_where_a_person_puts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jars.cache() == tmp_path / "tapewatch" / "jars"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert jars.cache() == Path(os.environ["HOME"]) / ".cache" / "tapewatch" / "jars"


def test_every_set_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for each in (jars.BROKER, jars.CONNECTOR):
        digests = jars._pinned(each)
        assert any(each.module in name for name in digests)
        assert all(len(digest) == 64 and name.endswith(".jar") for name, digest in digests.items())
