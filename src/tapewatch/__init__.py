"""tapewatch watches the tape and tells people, at once and once, when something abnormal happens."""

from typing import TYPE_CHECKING

__version__: str

if not TYPE_CHECKING:

    def __getattr__(name: str) -> str:
        # Reading the package's metadata takes several times what the rest of `tapewatch --help` takes.
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("tapewatch")
