"""A child process ends with its parent, even by kill -9: both hold one end of a pipe, and the kernel closes ours."""

import os
import signal
import threading

LEASH = "TAPEWATCH_LEASH"
"""Environment variable that tells a child the number of its end."""

GRACE_S = 3.0
"""How long the child may take to end by itself."""


def end_with_parent(end: int) -> None:
    """Watch the pipe in a thread; when the other end is closed, ask this process to terminate, and then make it."""

    def watch() -> None:
        while os.read(end, 64):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(GRACE_S)
        os._exit(1)

    threading.Thread(target=watch, name="leash", daemon=True).start()
