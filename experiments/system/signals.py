"""On Ctrl-C, SIGTERM or SIGUSR2 a run stops after its chunk; a second Ctrl-C ends it at once.

Clusters usually send SIGUSR2 to a job some time before they end it.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import rich.console

HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
STOPPED = 128  # plus the signal's number: the exit status after a stop by a signal


_interrupts: list[int] = []


def interrupt(number: int, _: Any) -> None:
    """Python's own handler of Ctrl-C, which also remembers it.

    Raised within a callback whose errors Python ignores, such as JAX's at a garbage collection, a
    KeyboardInterrupt would be lost.
    """
    _interrupts.append(number)
    raise KeyboardInterrupt


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Yields a function that returns the signal that asked for a stop; 0 for none.

    Raises KeyboardInterrupt if one was lost before.

    A thread receives the signals, because Python's own handlers wait until a compiled call returns.
    """
    if _interrupts:
        raise KeyboardInterrupt
    received: list[int] = []
    mine, written = socket.socketpair()
    written.setblocking(False)

    def listen() -> None:
        while heard := mine.recv(1):
            number = heard[0]
            if received and number == signal.SIGINT:
                rich.console.Console(stderr=True).show_cursor()
                os._exit(STOPPED + number)  # files on disk are complete at any moment
            if number in before and not received:
                received.append(number)
                print("stopping after this chunk; Ctrl-C stops at once", file=sys.stderr)

    nothing = lambda *_: None  # the thread does the work
    before = {number: signal.signal(number, nothing) for number in HEARD}
    earlier = signal.set_wakeup_fd(written.fileno())
    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield lambda: received[0] if received else 0
    finally:
        signal.set_wakeup_fd(earlier)
        for number, handler in before.items():
            signal.signal(number, handler)
        written.close()
        listener.join()
        mine.close()
