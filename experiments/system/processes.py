"""One run on several processes: how they find each other, and what happens when one dies."""

import contextlib
import ctypes
import os
import secrets
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator

import jax
import numpy as np
from absl import flags
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from experiments.system.files import RunError
from gru_jax import FieldError
from gru_jax.devices import from_first_process

SILENCE = 30  # seconds without a sign of life after which a process counts as dead
PATIENCE = 300  # seconds that the processes wait for each other at the start


def announced() -> int:
    """The number of processes, from the flags or from variables of Slurm or Open MPI."""
    options = flags.FLAGS
    if not options.distributed:
        return 1
    variables = ("OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS")  # in the order in which JAX looks
    found = [os.environ[name] for name in variables if os.environ.get(name, "").isdecimal()]
    return options.processes or int((found or ["1"])[0])


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Joins the other processes, if there are any. Inside, the death of one ends them all.

    Raises:
      FieldError: a flag is missing or wrong.
      RunError: the other processes were not found.
    """
    options = flags.FLAGS
    given = {name: options[name].value for name in ("coordinator", "processes", "process")}
    if not options.distributed:
        for name, value in given.items():
            if value is not None:
                raise FieldError(f"--{name}", value, "given with --distributed")
        yield
        return
    _initialize(**given)
    if jax.device_count() != jax.process_count() * jax.local_device_count():
        raise RunError(
            f"the processes have different numbers of devices, here {jax.local_device_count()} "
            f"of {jax.device_count()}: give each the same number"
        )
    watch = _Watch(options.coordinator)
    try:
        yield
    except (FieldError, RunError, OSError):
        raise  # an error of this process: the others see its connection close
    except Exception:
        watch.join(2 * SILENCE)  # a death elsewhere shows as some error of a collective
        raise
    watch.leave()
    jax.distributed.shutdown()  # waits for the others


def _initialize(coordinator: str | None, processes: int | None, process: int | None) -> None:
    by_flags = [value is not None for value in (coordinator, processes, process)]
    if any(by_flags):
        if not all(by_flags):
            raise FieldError(
                "--distributed", True, "given with all of --coordinator, --processes, --process"
            )
        host, _, port = str(coordinator).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise FieldError("--coordinator", coordinator, "HOST:PORT")
        if processes is None or not processes >= 1:
            raise FieldError("--processes", processes, "at least 1")
        if process is None or not 0 <= process < processes:
            raise FieldError("--process", process, f"in 0..{processes - 1}")
        print(f"process {process} of {processes}: waiting for all at {coordinator}")
    jax.config.update("jax_enable_preemption_service", False)  # it would catch SIGTERM
    # JAX's own timeout would end in an abort.
    alone = threading.Timer(PATIENCE, _end, ["the other processes did not come"])
    alone.daemon = True
    alone.start()
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            cluster_detection_method="deactivate" if any(by_flags) else None,
            initialization_timeout=2 * PATIENCE,
            heartbeat_timeout_seconds=SILENCE,
        )
    except ValueError:
        raise FieldError(
            "--distributed", True, "given under srun or mpirun, or with --coordinator and the rest"
        ) from None
    except RuntimeError as error:
        raise RunError(f"the other processes were not found: {error}") from None
    finally:
        alone.cancel()


def any_of(number: int) -> int:
    """The largest of all processes' numbers, on each of them."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.process_allgather(np.int32(number)).max())


def check_same(config: str) -> None:
    """Raises RunError if this process has another config than process 0."""
    if from_first_process(config.encode()) != config.encode():
        raise RunError("config differs from that of process 0: give all of them the same")


def checked(mesh: Mesh) -> Mesh:
    """The mesh; raises RunError if several processes leave a device of it unused."""
    if jax.process_count() > 1 and mesh.size != jax.device_count():
        shape = " x ".join(f"{size} parts of the {name}s" for name, size in mesh.shape.items())
        raise RunError(
            f"{jax.device_count()} devices of {jax.process_count()} processes do not divide the "
            f"population evenly (at best {shape}): change population.seeds or train.batch_size"
        )
    return mesh


class _Watch(threading.Thread):
    """Connections from every process to process 0; when one closes, the process behind it is dead.

    JAX's own heartbeats end the program too, but later and without a name.
    """

    def __init__(self, coordinator: str | None):
        super().__init__(daemon=True)
        self._leaving = False
        first = jax.process_index() == 0
        name = f"process {jax.process_index()} ({socket.gethostname()}, pid {os.getpid()})"
        listener = socket.create_server(("", 0), backlog=jax.process_count()) if first else None
        host = coordinator.rpartition(":")[0] if coordinator else socket.gethostname()
        port = listener.getsockname()[1] if listener else 0
        invitation = from_first_process(f"{host} {port} {secrets.token_hex(16)}".encode())
        assert invitation is not None
        host, port, token = invitation.decode().split()
        self._peers: dict[socket.socket, str] = {}
        if listener:
            with listener:
                self._welcome(listener, token, name)
        else:
            self._connect((host, int(port)), token, name)
        _delay_abort()
        self.start()

    def _welcome(self, listener: socket.socket, token: str, name: str) -> None:
        listener.settimeout(SILENCE)
        while len(self._peers) < jax.process_count() - 1:
            peer, _ = listener.accept()
            peer.settimeout(5)  # do not wait for strangers who found the port
            said, _, peer_name = _line(peer).partition(" ")
            if secrets.compare_digest(said.encode(), token.encode()):
                peer.sendall(f"{name}\n".encode())
                _prepare(peer)
                self._peers[peer] = peer_name
            else:
                peer.close()

    def _connect(self, address: tuple[str, int], token: str, name: str) -> None:
        peer = socket.create_connection(address, timeout=SILENCE)
        peer.sendall(f"{token} {name}\n".encode())
        first = _line(peer)
        if not first:
            raise OSError(f"process 0 does not answer at {address[0]}:{address[1]}")
        _prepare(peer)
        self._peers[peer] = first

    def leave(self) -> None:
        """Tells the others that the end of this process is intended."""
        self._leaving = True
        for peer in list(self._peers):
            with contextlib.suppress(OSError):
                peer.sendall(b"leaving\n")

    def run(self) -> None:
        while self._peers:
            ready, _, _ = select.select(list(self._peers), [], [])
            for peer in ready:
                said = _line(peer)
                if said == "leaving":
                    del self._peers[peer]
                elif not self._leaving:
                    self._stop(said or self._peers[peer])
                else:
                    return

    def _stop(self, gone: str) -> None:
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.sendall(f"{gone}\n".encode())
        _end(f"{gone} is gone")


def _end(why: str) -> None:
    """Ends this process, from any thread and whatever it is waiting for."""
    print(
        f"error: {why}, so this one stops: start all of them again, and the run goes on from "
        "its last checkpoint",
        file=sys.stderr,
        flush=True,
    )
    os._exit(1)


def _prepare(peer: socket.socket) -> None:
    """Makes a silent network count as a closed connection."""
    peer.settimeout(None)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", SILENCE // 2), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # not on every system
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _line(peer: socket.socket) -> str:
    """The next line; empty if the connection has closed."""
    said = b""
    with contextlib.suppress(OSError):
        while not said.endswith(b"\n") and len(said) < 1000 and (byte := peer.recv(1)):
            said += byte
    return said.decode(errors="replace").strip()


def _delay_abort() -> None:
    """Delays JAX's abort on the death of process 0 until the watch has printed its line.

    The handler of SIGABRT is C's sleep, which is called with the signal's number: 6 seconds.
    """
    c = ctypes.CDLL(None)
    c.signal.argtypes, c.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    c.signal(signal.SIGABRT, ctypes.cast(c.sleep, ctypes.c_void_p))
