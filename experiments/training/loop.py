"""The training loop: one run, or several that need the same compiled program, together."""

import dataclasses
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from experiments.runs import Run
from experiments.runs.checkpoints import Arrays, decode
from experiments.runs.state import abstract_state, flat, start, unflat
from experiments.settings.resolution import Settings
from experiments.system import processes
from experiments.system.memory import release
from experiments.training.memory import check_memory
from gru_jax import training
from gru_jax.devices import from_first_process, make_mesh, to_devices, to_host
from gru_jax.tasks.dataset import TEST, VALIDATION, Dataset


def train_settings(
    settings: Settings,
    workdir: Path,
    quiet: bool = False,
    stop: Callable[[], int] = lambda: 0,
    **opening: bool,
) -> Run:
    """Trains or resumes one run: see `train_together`."""
    (run,) = train_together([(settings, workdir)], quiet, stop, **opening)
    return run


def train_together(
    runs: list[tuple[Settings, Path]],
    quiet: bool = False,
    stop: Callable[[], int] = lambda: 0,
    **opening: bool,
) -> list[Run]:
    """Trains runs that need the same compiled program as one population.

    Each run writes to its own folder what it would have written alone. Its numbers differ only by
    rounding: for a population of another size, XLA may add in another order.

    Args:
      runs: settings with the same `program`, and their folders.
      quiet: print nothing, as always with more than one run.
      stop: called between chunks; if it returns a nonzero number, the runs are checkpointed and
        end as "stopped".
      opening: `extend` and `force`, see `recorder`.
    """
    population = _population([settings for settings, _ in runs])
    check_memory(population, processes.checked(make_mesh(*population.mesh_sizes)))
    quiet = quiet or len(runs) > 1
    with ExitStack() as stack:
        members = [_open(stack, *run, quiet, opening) for run in runs]
        while going := [member for member in members if member.summary is None]:
            step = min(
                member.step for member in going
            )  # a kill may have left them at different steps
            _train([member for member in going if member.step == step], stop)
    return [member.run() for member in members]


@dataclasses.dataclass(eq=False)
class _Member:
    """One of the runs that are trained together.

    record: writes to its folder; None in a process that does not write.
    arrays: its part of the population, as last copied to the host.
    step: the updates made so far.
    saved: the step of its last checkpoint, or the step where it began.
    seconds: its share of the training time so far.
    summary: None until the run has ended.
    """

    settings: Settings
    workdir: Path
    record: Any
    arrays: Arrays
    step: int
    saved: int
    seconds: float
    summary: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        return len(self.settings.seeds)

    def chunk(self, measured: dict[str, Any], solved: np.ndarray, diverged: np.ndarray) -> None:
        """Records a chunk. `measured` has its metrics by split, and which seeds were "learning"."""
        from experiments.runs.metrics import rows

        if not self.record:
            return
        seeds, learning = list(self.settings.seeds), measured["learning"]
        if self.settings.rate_varies:
            rates = {"learning_rate": self.settings.rates(self.step - 1)}
            measured = {**measured, "train": {**measured["train"], **rates}}
        lines = [
            row
            for split in ("train", "eval")
            for row in rows(self.step, split, seeds, measured[split], learning)
        ]
        self.record.chunk(
            self.step,
            lines,
            losses=measured["eval"]["loss"].tolist(),
            solved=int((solved != training.NOT_YET).sum()),
            diverged=int((diverged != training.NOT_YET).sum()),
        )

    def save(self, arrays: Arrays) -> None:
        self.arrays = arrays
        if self.record and self.saved != self.step:
            self.record.save(self.step, arrays, self._progress)
        self.saved = self.step

    def end(self, evaluated: dict[str, dict[str, np.ndarray]], status: str) -> None:
        self.summary = _summary(self.settings, self._state, evaluated, status, self._progress)
        if self.record:
            self.record.finish(self.summary)

    def run(self) -> Run:
        sharding = training.per_seed(make_mesh(*self.settings.mesh_sizes))
        return Run(self.workdir, self.settings, to_devices(self._state, sharding), self.summary)

    @property
    def _state(self) -> training.TrainState:
        return unflat(self.arrays, abstract_state(self.settings))

    @property
    def _progress(self) -> dict[str, Any]:
        return {"step": self.step, "wall_seconds": round(self.seconds, 2)}


def _open(
    stack: ExitStack, settings: Settings, workdir: Path, quiet: bool, opening: dict[str, bool]
) -> _Member:
    """Locks a run's folder, and reads its checkpoint or starts fresh models."""
    # tensorboardX imports PyTorch where it is installed, which a bad config need not wait for.
    from experiments.training.recorder import recorder

    shapes = flat(abstract_state(settings))
    record = None
    if jax.process_index() == 0:  # one process writes
        record = stack.enter_context(recorder(workdir, settings, **opening))
    data = from_first_process(record.newest(shapes) if record else None)
    if data is None:
        arrays = flat(jax.tree.map(np.asarray, start(settings)))
        step, seconds = 0, 0.0
    else:
        arrays, progress = decode(data, shapes)
        step, seconds = progress["step"], progress["wall_seconds"]
    if record:
        stack.enter_context(record.writing(step, quiet))
    return _Member(settings, workdir, record, arrays, step, step, seconds)


def _population(settings: list[Settings]) -> Settings:
    """The settings of one population with all their seeds."""
    joined: dict[str, Any] = {
        name: tuple(itertools.chain.from_iterable(getattr(each, name) for each in settings))
        for name in ("seeds", "learning_rates", "clip_norms")
    }
    return dataclasses.replace(settings[0], **joined)


def _train(members: list[_Member], stop: Callable[[], int]) -> None:
    """Trains runs that are at the same step, until at least half of their seeds have ended."""
    population = _population([member.settings for member in members])
    experiment, mesh = population.experiment, make_mesh(*population.mesh_sizes)
    data = training.placed_data(experiment, mesh, population.seeds)
    ends = itertools.accumulate(member.size for member in members)
    places = {m: slice(end - m.size, end) for m, end in zip(members, ends, strict=True)}
    part = lambda member, tree: jax.tree.map(lambda values: values[places[member]], tree)
    names = members[0].arrays
    arrays = {name: np.concatenate([m.arrays[name] for m in members]) for name in names}
    state = to_devices(unflat(arrays, abstract_state(population)), training.per_seed(mesh))
    step, active = members[0].step, np.asarray(arrays[".active"])
    going, last = members, time.monotonic()
    while True:
        stopping = bool(processes.any_of(stop()))
        ended = [m for m in going if step == population.steps or not part(m, active).any()]
        if stopping or ended:
            arrays = to_host(flat(state))
            for member in going:
                member.arrays = part(member, arrays)
                if stopping or member in ended:
                    member.save(member.arrays)
            # Only now, since it may take long, and be killed or not fit into memory.
            finals = to_host(final_evaluations(experiment, mesh, state, population.seeds))
            for member in going:
                if stopping or member in ended:
                    status = "completed" if member in ended else "stopped"
                    member.end(part(member, finals), status)
            going = [member for member in going if member.summary is None]
            if 2 * sum(member.size for member in going) <= len(population.seeds):
                return  # the rest is faster as a smaller population
        state, trained = training.train_chunk(experiment, mesh, state, data)
        evaluated = training.evaluate(experiment, mesh, state, data)
        state = training.judge(experiment, state, evaluated)
        step += experiment.chunk
        learning = active
        trained, evaluated, active, solved, diverged = to_host(
            (trained, evaluated, state.active, state.held_step, state.diverged_step)
        )
        now = time.monotonic()
        for member in going:
            member.step, member.seconds = step, member.seconds + (now - last) / len(going)
            measured = {"train": trained, "eval": evaluated, "learning": learning}
            member.chunk(*part(member, (measured, solved, diverged)))
        last = now
        if step % population.checkpoint_every == 0:
            arrays = to_host(flat(state))  # all processes take part
            for member in going:
                member.save(part(member, arrays))
            release()


def final_evaluations(
    experiment: training.Experiment, mesh: Mesh, state: training.TrainState, seeds: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """The metrics of a run's final models, on validation and on test examples."""
    state = dataclasses.replace(state, params=state.final)
    judge = lambda each, split: training.evaluate(
        each, mesh, state, training.placed_data(each, mesh, seeds), split=split
    )
    # Of examples that a task makes, the same program takes those of both splits.
    tested = experiment.judged_on(TEST) if isinstance(experiment.task, Dataset) else experiment
    return {"eval": judge(experiment, VALIDATION), "test": judge(tested, TEST)}


def _summary(
    settings: Settings,
    state: training.TrainState,
    evaluated: dict[str, dict[str, np.ndarray]],
    status: str,
    progress: dict[str, Any],
) -> dict[str, Any]:
    reached = lambda steps: [None if s == training.NOT_YET else s for s in steps.tolist()]
    solved, diverged = reached(state.held_step), reached(state.diverged_step)
    norms = zip(diverged, state.gradient_norm.tolist(), strict=True)
    return {
        "status": "diverged" if None not in diverged else status,
        **progress,
        "parameters": settings.experiment.parameters,
        "baseline_loss": settings.experiment.task.baseline_loss,
        "seeds": list(settings.seeds),
        **{
            split: {name: _spread(values.tolist()) for name, values in metrics.items()}
            for split, metrics in evaluated.items()
        },
        "solved_step": solved,
        "diverged_step": diverged,
        # The gradient norm of the last update before it; None if there was none.
        "diverged_norm": [
            None if step is None or not math.isfinite(norm) else norm for step, norm in norms
        ],
    }


def _spread(values: list[float]) -> dict[str, Any]:
    finite = [value for value in values if math.isfinite(value)]
    return {
        "mean": statistics.fmean(finite) if finite else None,
        "std": statistics.stdev(finite) if len(finite) > 1 else None,
        "per_seed": [value if math.isfinite(value) else None for value in values],
    }
