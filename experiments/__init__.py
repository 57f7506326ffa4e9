"""The programs: `python -m experiments.NAME`, and the same as functions for a notebook."""

import signal
import sys

# Python names the program "-m" while it looks for the module: a program is starting, and until
# its modules are imported there is nothing to save. Ctrl-C then needs no traceback.
if sys.argv[:1] == ["-m"]:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
