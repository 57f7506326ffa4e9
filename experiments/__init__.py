"""The programs, run as `python -m experiments.NAME`, or as functions from a notebook."""

import importlib
import signal
import sys
from pathlib import Path

from experiments import usage

# While Python looks for the module, argv[0] is "-m": a program is starting. Until its modules are
# imported there is nothing to save, so Ctrl-C should end it without a traceback; and --help need
# not wait for them.
if sys.argv[:1] == ["-m"]:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if program := usage.program(sys.orig_argv[-len(sys.argv)]):
        program.answer()

# Python looks into the current folder first, which may have a package `configs` of its own.
sys.path.insert(0, str(Path(__file__).parent.parent))
importlib.import_module("configs")
del sys.path[0]
