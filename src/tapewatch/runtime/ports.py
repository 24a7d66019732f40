"""A port for a server of ours on loopback: the one that was asked for, or the default and those behind it."""

import errno
import socket

from tapewatch.errors import ConfigError

HOST = "127.0.0.1"
TRIES = 50


def choose(asked: int | None, default: int, name: str, taken: frozenset[int] = frozenset()) -> int:
    """Choose a port that is free now.

    Parameters
    ----------
    asked
        What a person asked for; None: the default, or the first free one behind it.
    name
        Whose port it is, for the message.
    taken
        Ports that are spoken for although nobody listens yet.

    Raises
    ------
    ConfigError
        The port that was asked for is taken, or none is free.
    """
    if asked is not None:
        if asked in taken or not _free(asked):
            raise ConfigError(f"{name}: port {asked} is taken; choose another one, or none to get a free one")
        return asked
    for port in range(default, default + TRIES):
        if port not in taken and _free(port):
            return port
    raise ConfigError(f"{name}: the ports {default} to {default + TRIES - 1} are all taken; choose another one")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port just left is free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True
