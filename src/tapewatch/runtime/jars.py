"""Jars of Apache Kafka and of Spark's connector: fetched once, from Maven Central, by the Ivy that ships with pyspark.

A set's name comes in, paths of verified files come out. `jars.sha256` beside this file pins every one of them.
"""

import hashlib
import os
import re
import shutil
import subprocess
import threading
from functools import cache as cache_of_calls
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from tapewatch.errors import ConfigError, TapewatchError

OLDEST_JAVA = 17

PAUSES_S = (2.0, 10.0)
"""Between tries to fetch: what Ivy calls not found may be a server that did not answer just then. It keeps the rest."""
"""What Spark asks for."""

PATTERN = "[organisation]-[artifact]-[revision](-[classifier]).[ext]"  # two modules share a file name


class JarSet(NamedTuple):
    """What is fetched together.

    Attributes
    ----------
    name
        Of the folder in the cache.
    organisation, module, revision
        Of the module whose dependencies they are.
    alone
        The module without its dependencies.
    """

    name: str
    organisation: str
    module: str
    revision: str
    alone: bool = False


BROKER = JarSet("kafka", "org.apache.kafka", "kafka_2.13", "4.4.0")
CONSOLE = JarSet("kafka-console", "org.apache.kafka", "kafka-tools", "4.3.0", alone=True)
"""Kafka's own console consumer; the newest that Maven Central has …"""

CONSOLE_CLIENTS = JarSet("kafka-console-clients", "org.apache.kafka", "kafka-clients", "4.3.0", alone=True)
"""… and the clients it was built with: those of 4.4 lack a class that it needs."""

CONNECTOR = JarSet("spark-kafka", "org.apache.spark", "spark-sql-kafka-0-10_2.13", "4.2.0")


def cache() -> Path:
    """Tell the folder where fetched jars are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tapewatch" / "jars"


def java() -> str:
    """Find Java: where ``JAVA_HOME`` says, as Spark does, else in the PATH.

    Raises
    ------
    ConfigError
        There is none, or it is too old; says what to install.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=None if not home else str(Path(home) / "bin"))
    wanted = f"Java {OLDEST_JAVA} or newer is needed"
    hint = f"Debian and Ubuntu: apt install openjdk-{OLDEST_JAVA}-jre-headless"
    if found is None:
        raise ConfigError(f"{wanted}, found none{f' in JAVA_HOME ({home})' if home else ''}; {hint}")
    version = _java_version(found)
    if version is None:
        raise ConfigError(f"{wanted}, and {found} does not tell its version; {hint}")
    if version < OLDEST_JAVA:
        raise ConfigError(f"{wanted}, found {version} ({found}); {hint}")
    return found


@cache_of_calls
def _java_version(path: str) -> int | None:
    # "17.0.15" is 17, and so was "1.8.0_412" 8.
    done = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)  # noqa: S603  # Java
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(found[1]) if found else None


def fetched(jars: JarSet, cache: Path) -> list[Path]:
    """Give the files of a set, fetching them where they are missing.

    Parameters
    ----------
    cache
        Folder where they are kept.

    Raises
    ------
    ConfigError
        Java or pyspark is missing.
    TapewatchError
        They cannot be fetched, or a file is not the one that is pinned.
    """
    wanted = _pinned(jars)
    folder = cache / jars.name
    if not all((folder / name).exists() for name in wanted):
        _fetch(jars, cache, folder)
    for name, digest in wanted.items():
        path = folder / name
        if not path.exists():
            raise TapewatchError(
                f"{path}: expected it to be fetched, found no such file; remove {folder} and try again"
            )
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digest:
            path.unlink()
            raise TapewatchError(f"{path}: expected the checksum {digest}, found {found}; it was removed, try again")
    return [folder / name for name in wanted]


def console(cache: Path) -> str:
    """Give the class path of Kafka's own console consumer.

    Raises
    ------
    ConfigError
        Java or pyspark is missing.
    TapewatchError
        A file cannot be fetched, or is not the one that is pinned.
    """
    sets = (CONSOLE, CONSOLE_CLIENTS, BROKER)
    return os.pathsep.join(str(path) for jars in sets for path in fetched(jars, cache))


def _pinned(jars: JarSet) -> dict[str, str]:
    lines = files("tapewatch.runtime").joinpath("jars.sha256").read_text(encoding="utf-8").splitlines()
    entries = (line.split() for line in lines)
    return {name: digest for digest, folder, name in entries if folder == jars.name}


def _fetch(jars: JarSet, cache: Path, folder: Path) -> None:
    command = [
        java(),
        "-cp",
        str(_ivy()),
        "org.apache.ivy.Main",
        "-cache",
        str(cache / "ivy"),
        "-dependency",
        jars.organisation,
        jars.module,
        jars.revision,
        *(("-notransitive",) if jars.alone else ()),
        "-confs",
        "default",
        "-types",
        "jar",
        "bundle",  # the packaging of scala-logging, without which the broker does not start
        "-retrieve",
        f"{folder}/{PATTERN}",
    ]
    for pause_s in (*PAUSES_S, None):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # Java, which was found
        if done.returncode == 0:
            return
        if pause_s is not None:
            threading.Event().wait(pause_s)
    said = [line.strip() for line in done.stdout.splitlines() if "not found" in line or "ERROR" in line]
    why = "; ".join(said[:3]) or done.stderr[-200:]
    raise TapewatchError(f"{jars.module} {jars.revision} cannot be fetched from Maven Central: {why}")


def _ivy() -> Path:
    try:
        import pyspark
    except ImportError:
        raise ConfigError("Spark needs pyspark: pip install 'tapewatch[spark]'") from None
    return next((Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar"))
