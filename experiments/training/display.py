"""What a run shows while it goes on, and the table at its end."""

import math
import time
from typing import Any

import rich.console
import rich.progress
import rich.table

from experiments.stats.outcomes import outcomes, quartiles


class Display:
    """Shows progress: a live line on a terminal, plain lines elsewhere, nothing if `quiet`."""

    def __init__(self, steps: int, start: int, quiet: bool = False, target: bool = True):
        self.console = rich.console.Console(quiet=quiet, highlight=False)
        self._steps, self._start, self._began = steps, start, time.monotonic()
        self._target = target
        self._live = rich.progress.Progress(
            rich.progress.TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TextColumn("{task.fields[state]}"),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("left at most"),
            rich.progress.TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task = self._live.add_task("", total=steps, completed=start, state="compiling")
        if not self.console.is_terminal:
            self.console.print("compiling")

    def __enter__(self) -> "Display":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, step: int, losses: list[float], solved: int, diverged: int) -> None:
        median = quartiles(math.inf if math.isnan(loss) else loss for loss in losses)[1]
        state = f"evaluation loss {median:.3g}"
        if self._target:
            state += f"  solved {solved}/{len(losses)}"
        if diverged:
            state += f"  diverged {diverged}"
        self._live.update(self._task, completed=step, state=state)
        if not self.console.is_terminal:
            elapsed = time.monotonic() - self._began
            left = elapsed / (step - self._start) * (self._steps - step)
            self.console.print(
                f"step {step}/{self._steps}  {state}  {elapsed:.0f} s, at most {left:.0f} s left",
                soft_wrap=True,
            )


def final_table(summary: dict[str, Any], budget: int, target: bool = True) -> rich.table.Table:
    """Final and input-blind loss, steps to solve, parameters and time, per seed and in summary.

    Args:
      target: whether there is a target, without which nothing can be solved.
    """
    metrics = summary["eval"]
    others = [name for name in metrics if name != "loss"]
    table = rich.table.Table(show_footer=True, footer_style="bold")
    sums = outcomes(metrics["loss"]["per_seed"], summary["solved_step"], budget)
    low, high = sums.success
    share = f"{sums.solved}/{sums.seeds} solved\n95 % {low:.0%}..{high:.0%}"
    table.add_column("seed", share if target else "no target")
    table.add_column(
        "final loss", f"{sums.loss[1]:.3g}\n{sums.loss[0]:.3g}..{sums.loss[2]:.3g}", justify="right"
    )
    for name in others:
        finite = [value for value in metrics[name]["per_seed"] if value is not None]
        median = quartiles(finite)[1] if finite else None
        table.add_column(f"final {name}", _number(median), justify="right")
    table.add_column("input-blind loss", f"{summary['baseline_loss']:.4g}", justify="right")
    if target:
        table.add_column("steps to solve", f"{sums.steps}\nmedian", justify="right")
    else:
        table.add_column("target", justify="right")
    table.add_column("parameters", f"{summary['parameters']:,}", justify="right")
    table.add_column("time", f"{summary['wall_seconds']:.0f} s\nin all", justify="right")
    for index, seed in enumerate(summary["seeds"]):
        solved = summary["solved_step"][index]
        diverged = summary["diverged_step"][index]
        norm = _number(summary["diverged_norm"][index])
        state = "not reached" if target else "none"
        if diverged is not None:
            state = f"diverged at {diverged}, norm {norm}"
        table.add_row(
            str(seed),
            *(_number(metrics[name]["per_seed"][index]) for name in ("loss", *others)),
            "",
            state if solved is None else str(solved),
        )
    return table


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}"
