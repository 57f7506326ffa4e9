"""What a run writes while it goes on. One process of a run has a recorder, the others none."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from experiments.checkpoints import Checkpoints, Shapes
from experiments.curves import draw_curves
from experiments.files import write_json
from experiments.lock import held
from experiments.settings import Settings
from experiments.workdir import open_workdir, read_metrics
from experiments.writers import Display, MetricsFile, Row


class Recorder:
    """The folder of a run, held by this process: see `recorder`."""

    def __init__(self, workdir: Path, settings: Settings, check: Callable[[], None]):
        self._workdir, self._settings, self._check = workdir, settings, check
        self._checkpoints = Checkpoints(workdir / "checkpoints", settings.checkpoints_kept)

    def newest(self, shapes: Shapes) -> bytes | None:
        """The checkpoint to go on from: see `Checkpoints.newest`."""
        lines = read_metrics(self._workdir)
        return self._checkpoints.newest(shapes, lines[-1]["step"] if lines else 0)

    @contextmanager
    def writing(self, step: int, quiet: bool) -> Iterator[None]:
        """Opens the files that grow; what they hold of later steps is forgotten."""
        (self._workdir / "summary.json").unlink(missing_ok=True)  # an earlier stop's
        with (
            closing(MetricsFile(self._workdir, step)) as self._metrics,
            Display(self._settings.steps, step, quiet) as self._display,
        ):
            yield

    def chunk(self, step: int, rows: list[Row], **shown: Any) -> None:
        """Writes a chunk's metrics and shows the progress: see `Display.update`."""
        self._check()
        self._metrics.write(rows)
        self._display.update(step, **shown)

    def save(self, step: int, data: bytes) -> None:
        self._check()
        self._checkpoints.save(step, data)

    def finish(self, summary: dict[str, Any]) -> None:
        """The curves, then the summary: with it, the run counts as ended."""
        self._check()
        draw_curves(self._workdir, self._settings)
        write_json(self._workdir / "summary.json", summary)


@contextmanager
def recorder(
    workdir: Path, settings: Settings, extend: bool = False, force: bool = False
) -> Iterator[Recorder]:
    """Holds the run's folder, which is made where it is missing.

    Raises:
      RunError: another process holds it, or it belongs to another run.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with held(workdir, force) as check:
        open_workdir(workdir, settings, extend)
        yield Recorder(workdir, settings, check)
