"""Everything that a run writes while it trains. Only one process of a run has a recorder."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from experiments.runs.checkpoints import Arrays, Checkpoints, Progress, Shapes, encode
from experiments.runs.metrics import IDENTITY, MetricsFile, Row
from experiments.runs.records import read_metrics
from experiments.runs.workdir import check_schema, extend_config, open_workdir
from experiments.settings.resolution import Settings
from experiments.system.files import RunError, make_folder, write_bytes, write_json
from experiments.system.lock import held
from experiments.training.display import Display


class Recorder:
    """The folder of a run, held by this process: see `recorder`."""

    def __init__(self, workdir: Path, settings: Settings, check: Callable[[], None]):
        self._workdir, self._settings, self._check = workdir, settings, check
        self._checkpoints = Checkpoints(workdir / "checkpoints", settings.checkpoints_kept)

    def newest(self, shapes: Shapes) -> bytes | None:
        """The checkpoint to continue from: see `Checkpoints.newest`."""
        rows = read_metrics(self._workdir)
        metrics = {*IDENTITY, *self._settings.experiment.task.metric_names}
        trained = metrics | {"gradient_norm"}
        # A run that an earlier version began has no learning rates.
        names = {"eval": [metrics], "train": [trained, trained | {"learning_rate"}]}
        for number, row in enumerate(rows, 1):
            if row.keys() not in names[row["split"]]:
                raise RunError(f"{self._workdir / 'metrics.jsonl'}: line {number} is damaged")
        data = self._checkpoints.newest(shapes, len(rows))
        if data is None and rows and rows[-1]["step"] > self._settings.checkpoint_every:
            raise RunError(
                f"{self._workdir} has metrics until step {rows[-1]['step']} and no checkpoint: "
                "restore checkpoints/, or start in another folder"
            )
        return data

    @contextmanager
    def writing(self, step: int, quiet: bool) -> Iterator[None]:
        """Opens the files that grow, and drops what they hold of later steps."""
        extend_config(self._workdir, self._settings)
        with (
            closing(MetricsFile(self._workdir, step)) as self._metrics,
            Display(
                self._settings.steps, step, quiet, self._settings.experiment.target is not None
            ) as self._display,
        ):
            yield

    def chunk(self, step: int, rows: list[Row], **shown: Any) -> None:
        """Writes a chunk's metrics and shows the progress: see `Display.update`."""
        self._check()
        self._metrics.write(rows)
        self._display.update(step, **shown)

    def save(self, step: int, arrays: Arrays, progress: Progress) -> None:
        self._check()
        data = encode(arrays, {**progress, "lines": self._metrics.lines})
        try:
            self._checkpoints.save(step, data)
        except FileNotFoundError:
            self._check()  # the better message, if the folder has vanished
            raise

    def finish(self, summary: dict[str, Any]) -> None:
        """Writes the curves, then the summary, with which the run counts as ended."""
        from experiments.figures import curves  # imports matplotlib: no start need wait for that

        self._check()
        self._checkpoints.tidy()
        drawn = curves.learning(self._settings, read_metrics(self._workdir))
        write_bytes(self._workdir / "curves.png", drawn)
        write_json(self._workdir / "summary.json", summary)


@contextmanager
def recorder(
    workdir: Path, settings: Settings, extend: bool = False, force: bool = False
) -> Iterator[Recorder]:
    """Holds the run's folder, and creates it if it is missing.

    Raises:
      RunError: another process holds it, or it belongs to another run.
    """
    check_schema(workdir, settings.config)  # of a run that was read back
    make_folder(workdir)
    with held(workdir, force) as check:
        open_workdir(workdir, settings, extend)
        yield Recorder(workdir, settings, check)
