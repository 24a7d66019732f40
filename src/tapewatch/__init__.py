"""tapewatch watches the tape and tells people, at once and once, when something abnormal happens."""

from importlib.metadata import version

__version__ = version("tapewatch")
