"""``python -m tapewatch``: the same as the command ``tapewatch``; started as a child, it ends with its parent."""

import os

from tapewatch.cli import main
from tapewatch.runtime.leash import LEASH, end_with_parent

if __name__ == "__main__":
    if leash := os.environ.pop(LEASH, ""):
        end_with_parent(int(leash))
    main()
