"""Runs the trials of a sweep. Its flags and its page of --help are `usage.SWEEP`."""

import collections
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import rich.progress
import rich.table
from absl import flags

from experiments import usage
from experiments.settings.options import settable
from experiments.settings.trials import Trial, from_file, only
from experiments.sweeps import estimates, waiting
from experiments.sweeps.folder import (
    DIVERGED,
    DONE,
    FAILED,
    FINISHED,
    RUNNING,
    WAITING,
    State,
    SweepFolder,
    run_elsewhere,
)
from experiments.sweeps.launchers import (
    Launcher,
    LocalLauncher,
    SlurmLauncher,
    slurm_options,
)
from experiments.system import commandline, own, terminal
from experiments.system.files import make_folder
from experiments.system.lock import held
from experiments.system.signals import STOPPED, stop_requests
from gru_jax import FieldError, fields

PAUSE = 0.5  # seconds between two looks at the folder
GRACE = 5  # seconds until a worker's last files are visible on a shared disk
LAUNCHERS = ("local", "slurm")
MOST = 10_000  # workers


def main() -> int:
    options = flags.FLAGS
    file = commandline.config_file()
    trials = from_file(file, options.config)
    elsewhere = run_elsewhere(options.done) if options.done else {}
    chosen = [trial for trial in only(trials, options.only) if trial.name not in elsewhere]
    launcher_is = fields.one_of("--launcher", options.launcher, LAUNCHERS)
    jobs = slurm_options(options.slurm)
    if options.slurm and launcher_is != "slurm":
        raise FieldError("--slurm", ",".join(options.slurm), "left out without --launcher=slurm")
    if fields.integer("--workers", options.workers, 0, MOST) and launcher_is != "local":
        raise FieldError("--workers", options.workers, "left out with --launcher=slurm")
    if not chosen:
        print(f"nothing is left: {options.done} has every trial of --only={options.only}")
        return 0
    if options.list:
        terminal.console().print(table(chosen))
        return 0
    path = Path(options.workdir or Path("runs", "sweeps", Path(file).stem))
    folder = SweepFolder(path, elsewhere)
    imports = own.flags([*commandline.imports(sys.argv), file])
    told = [*imports, "--force"] if options.force else imports
    launcher: Launcher
    if launcher_is == "slurm":
        launcher = SlurmLauncher(folder, jobs, told, options.pack)
    else:
        launcher = LocalLauncher(folder, options.workers, told, options.pack)
    make_folder(folder.path)
    with held(folder.path, options.force), stop_requests() as stop:
        folder.open(trials, chosen)
        return run(folder, chosen, launcher, stop, imports)


def run(
    folder: SweepFolder,
    trials: list[Trial],
    launcher: Launcher,
    stop: Callable[[], int],
    imports: Sequence[str] = (),
) -> int:
    """Runs the trials that are missing; returns the exit status."""
    from experiments.reports.page import write_report
    from experiments.reports.results import write_results

    before = {trial.name: _tried_again(folder.state(trial.name)) for trial in trials}
    missing = {t.name: t for t in trials if before[t.name].status not in FINISHED}
    for line in waiting.told(folder, trials, ended=False):
        print(line)
    queued = launcher.waiting()
    left: dict[str, Trial] = {}

    def begin() -> None:
        """Starts what need not wait any more, but for what an earlier command has queued."""
        free = _free(folder, missing)
        left.update(free)
        new = [trial for name, trial in free.items() if name not in queued]
        for trial in new:
            folder.forget_failure(trial.name)
        if new:
            launcher.start(new)

    begin()
    ended: dict[str, tuple[str, float]] = {}
    with Display(trials, before) as display:
        while left and not stop():
            time.sleep(PAUSE)
            ended |= {name: (how, time.monotonic()) for name, how in launcher.ended().items()}
            states = {name: folder.state(name) for name in left}
            for name in ended.keys() & left.keys():
                how, when = ended[name]
                unsaid = states[name].status not in (*FINISHED, FAILED)
                if unsaid and time.monotonic() - when > GRACE:
                    folder.fail(name, how)
                    states[name] = folder.state(name)
            display.update(states)
            over = [name for name in left if states[name].status in (*FINISHED, FAILED)]
            for name in over:
                del left[name]
            if over:
                write_results(folder)
                begin()  # not once all others are over
    if left:
        print(launcher.stop())
    write_results(folder)
    if any(state.reason or state.status == DONE for state in map(folder.state, before)):
        again = shlex.join(["python", "-m", "experiments.report", str(folder.path), *imports])
        write_report([folder.path], folder.path / "report.html", again)
    stopped = stop() if left or missing else 0
    return STOPPED + stopped if stopped else conclude(folder, trials)


def _free(folder: SweepFolder, missing: dict[str, Trial]) -> dict[str, Trial]:
    """Takes the trials out of `missing` that need not wait for another."""
    found = {name: trial for name, trial in missing.items() if folder.may_run(trial)}
    for name in found:
        del missing[name]
    return found


def _tried_again(state: State) -> State:
    """What has failed in an earlier command begins anew, where it was."""
    return State(WAITING, state.step) if state.status == FAILED else state


def table(trials: list[Trial]) -> rich.table.Table:
    """The trials that a sweep would run, with sizes and estimated times."""
    shown = rich.table.Table()
    for name in ("trial", "units", "parameters", "seeds", "steps", "about"):
        shown.add_column(name, justify="left" if name == "trial" else "right")
    rate = estimates.rate(trials)
    for trial in trials:
        settings = trial.settings
        shown.add_row(
            trial.name,
            "x".join(map(str, settings.config["model"]["hidden_sizes"])),
            f"{settings.experiment.parameters:,}",
            str(len(settings.seeds)),
            f"{settings.steps:,}",
            terminal.duration(estimates.work(settings) / rate),
        )
    whole = sum(estimates.work(trial.settings) for trial in trials) / rate
    count, time_ = fields.counted(len(trials), "trial"), terminal.duration(whole)
    shown.caption = f"{count}, at most about {time_} in all here"
    return shown


def conclude(folder: SweepFolder, trials: list[Trial]) -> int:
    """Prints where the results are and what failed; returns the exit status."""
    states = {trial.name: folder.state(trial.name) for trial in trials}
    bad = {name: state for name, state in states.items() if state.reason}
    if bad:
        shown = rich.table.Table(
            title=f"failed: {len(bad)} of {fields.counted(len(trials), 'trial')}"
        )
        for name in ("trial", "step", "reason"):
            shown.add_column(name, overflow="fold")
        for name, state in bad.items():
            shown.add_row(name, str(state.step), fields.printable(state.reason))
        terminal.console().print(shown)
    for line in waiting.told(folder, trials, ended=True):
        print(line)
    print(f"report:  {folder.path / 'report.html'}")
    print(f"results: {folder.path / 'results.csv'}, results.jsonl")
    return int(bool(bad))


class Display:
    """Shows trials done, running and failed, and the time left, live if on a terminal."""

    def __init__(self, trials: list[Trial], states: dict[str, State]):
        self._console = terminal.console()
        settings = {trial.name: trial.settings for trial in trials}
        self._progress = estimates.Progress(settings, states)
        self._states, self._said = dict(states), ""
        self._live = rich.progress.Progress(
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TextColumn("{task.fields[state]}"),
            rich.progress.TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._live.add_task("", total=1.0, state="starting")

    def __enter__(self) -> "Display":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, states: dict[str, State]) -> None:
        """Takes the new states of the trials that had not ended."""
        self._states |= states
        counts = collections.Counter(state.status for state in self._states.values())
        text = (
            f"{fields.counted(len(self._states), 'trial')}: {counts[DONE]} done, "
            f"{counts[RUNNING]} running, {counts[FAILED] + counts[DIVERGED]} failed"
        )
        seconds = self._progress.left(self._states)
        left = "" if seconds is None else f", at most {terminal.duration(seconds)} left"
        running = [f"{n} at {s.step}" for n, s in self._states.items() if s.status == RUNNING]
        shown = f"{text}{left}  [dim]{'  '.join(running[:2])}[/dim]"
        self._live.update(self._task, completed=self._progress.share(self._states), state=shown)
        if not self._console.is_terminal and text != self._said:
            self._console.print(f"{text}{left}", soft_wrap=True)
        self._said = text


if __name__ == "__main__":
    commandline.run(main, usage.SWEEP, settable)
