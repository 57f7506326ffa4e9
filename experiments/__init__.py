"""The programs, run as `python -m experiments.NAME`, or as functions from a notebook."""

import signal
import sys

# While Python looks for the module, argv[0] is "-m": a program is starting. Until its modules are
# imported there is nothing to save, so Ctrl-C should end it without a traceback.
if sys.argv[:1] == ["-m"]:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
