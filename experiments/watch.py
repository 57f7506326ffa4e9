"""Follows a run or a sweep in the browser. Its flags and its page of --help are `usage.WATCH`."""

import errno
import functools
import http.server
import os
import shlex
import sys
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import jax
from absl import flags

from experiments import usage
from experiments.reports.live import Followed
from experiments.system import commandline
from experiments.system.files import RunError
from gru_jax import FieldError, fields

HERE = "127.0.0.1"
NAMES = (HERE, "localhost")  # by which a browser on this machine may call it
NICENESS = 10  # a run beside it goes first


class Server(http.server.ThreadingHTTPServer):
    """Answers with the page about a folder."""

    daemon_threads = True  # an open connection does not hold up the end

    def __init__(self, followed: Followed, port: int):
        self.followed = followed
        super().__init__((HERE, port), Handler)

    def handle_error(self, *_: object) -> None:
        """Tells an error in a line; a browser that is gone before its answer is none."""
        error = sys.exc_info()[1]
        if error and not isinstance(error, ConnectionError | TimeoutError):
            commandline.guarded(functools.partial(_raise, error))


class Handler(http.server.BaseHTTPRequestHandler):
    """One request: GET / and nothing else."""

    server: Server
    timeout = 10

    def do_GET(self) -> None:
        if not self._called_here():
            self._say(HTTPStatus.FORBIDDEN, "only for a browser on this machine")
        elif self.path != "/":
            self._say(HTTPStatus.NOT_FOUND, "there is one page: /")
        else:
            self._answer()

    def _answer(self) -> None:
        try:
            page, tag = self.server.followed.current()
        except (RunError, FieldError, OSError) as error:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            return
        if self.headers.get("If-None-Match") == f'"{tag}"':
            self._say(HTTPStatus.NOT_MODIFIED, "", tag)
        else:
            self._say(HTTPStatus.OK, page, tag, "html")

    def refuse(self) -> None:
        self._say(HTTPStatus.METHOD_NOT_ALLOWED, "only GET")

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = refuse  # noqa: N815

    def _called_here(self) -> bool:
        """Whether the address that was typed is this machine's. It is not where a page of somebody
        else has let its own name lead here, to read what it is not shown (DNS rebinding).
        """
        try:
            return urlsplit(f"//{self.headers.get('Host', '')}").hostname in NAMES
        except ValueError:
            return False

    def _say(self, status: HTTPStatus, text: str, tag: str = "", kind: str = "plain") -> None:
        content = text.encode(errors="backslashreplace")
        self.send_response(status)
        if tag:
            self.send_header("ETag", f'"{tag}"')
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", f"text/{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """A page that is asked for every few seconds would fill the terminal."""


def _raise(error: BaseException) -> NoReturn:
    raise error


def served(followed: Followed, port: int) -> Server:
    """A server that listens.

    Raises:
      FieldError: the port is taken, or not allowed to this user.
    """
    try:
        return Server(followed, port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        allowed = "a free port above 1023, or 0 for any"
        raise FieldError("--port", port, f"{allowed}: {str(error.strerror).lower()}") from None


def main() -> int:
    options = flags.FLAGS
    port = fields.integer("--port", options.port, 0, 65535)
    os.nice(NICENESS)
    jax.config.update("jax_platforms", "cpu")  # an accelerator's memory is for the run
    command = shlex.join(["python", "-m", "experiments.watch", *sys.argv[1:]])
    with served(Followed(Path(options.run), options.data, command), port) as server:
        print(f"http://{HERE}:{server.server_port}/ follows {options.run}; Ctrl-C ends it")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    commandline.run(main, usage.WATCH)
