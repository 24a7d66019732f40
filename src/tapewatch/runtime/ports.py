"""A port for a server of ours, on loopback: the one that was asked for, or the default and those behind it."""

import errno
import socket

from tapewatch.errors import ConfigError

HOST = "127.0.0.1"
TRIES = 50


def bind(asked: int | None, default: int, name: str, host: str = HOST) -> socket.socket:
    """Take a port, so that nobody else gets it before the server starts.

    Parameters
    ----------
    asked
        What a person asked for; None: the default, or the first free one behind it.
    name
        Whose port it is, for the message.
    host
        Address of this machine to listen at; 0.0.0.0: all of them.

    Raises
    ------
    ConfigError
        The port that was asked for is taken, none is free, or the address is not this machine's.
    """
    ports = range(default, default + TRIES) if asked is None else (asked,)
    for port in ports:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just left is free
        try:
            server.bind((host, port))
            server.listen()  # until then, somebody else could bind it, too
        except OSError as error:
            server.close()
            if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
                section = name.partition(".")[0]
                raise ConfigError(f"{section}.host: expected an address of this machine, found {host!r}") from None
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
        else:
            return server
    if asked is not None:
        raise ConfigError(f"{name}: port {asked} is taken; choose another one, or none to get a free one")
    raise ConfigError(f"{name}: the ports {ports[0]} to {ports[-1]} are all taken; choose another one")


def choose(asked: int | None, default: int, name: str, host: str = HOST) -> int:
    """Find a port for a server in another process; see `bind`."""
    with bind(asked, default, name, host) as server:
        return int(server.getsockname()[1])
