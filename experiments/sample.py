"""Writes on with a model of characters. Its flags and its page of --help are `usage.SAMPLE`."""

import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments import usage
from experiments.runs import Run
from experiments.runs.loading import restored
from experiments.runs.records import read_config
from experiments.settings.resolution import resolve
from experiments.system import commandline, terminal
from experiments.system.files import RunError
from gru_jax import FieldError, SequenceModel, fields
from gru_jax.streams import stream
from gru_jax.tasks.next_step import Characters
from gru_jax.training import NOT_YET


def sample(
    model: SequenceModel, prompt: Sequence[int], temperature: float, draw: int
) -> Iterator[int]:
    """The tokens that a model writes after a prompt, without end.

        p(y_t+1 = k | y_1 ... y_t) = softmax(outputs_t / temperature)_k

    Args:
      prompt: at least one token.
      temperature: with 0, or less than a millionth, the most probable token is written.
      draw: which of all the texts that it might write; equal numbers give equal texts.
    """

    @jax.jit
    def step(carry: Any, token: Any, number: Any) -> tuple[Any, Any]:
        carry, outputs = model(token[None, None], initial_carry=carry, return_carry=True)
        logits = outputs[0, 0]
        if temperature < 1e-6:
            return carry, logits.argmax()
        key = stream("sample", draw, number)
        return carry, jax.random.categorical(key, logits / temperature)

    carry, token = model.initialize_carry((1,)), prompt[0]
    for number in itertools.count(1):
        carry, written = step(carry, np.uint8(token), np.uint32(number))
        if number < len(prompt):
            token = prompt[number]
        else:
            yield (token := int(written))


def main() -> int:
    options = flags.FLAGS
    temperature = fields.real("--temperature", options.temperature, least=0, most=1e6)
    fields.integer("--length", options.length, 1)
    fields.integer("--draw", options.draw, 0)
    workdir = Path(options.run)
    settings = resolve(read_config(workdir, options.data))
    task = settings.experiment.task
    if not isinstance(task, Characters):
        name = settings.config["task"]["name"]
        raise FieldError("--run", options.run, f"a run of the task characters: it is of {name!r}")
    if settings.config["model"]["bidirectional"]:
        raise FieldError("--run", options.run, "a run of models that read in one direction")
    if options.prompt is None:  # a new line, or the lowest byte of a text that has none
        prompt = [max(task.alphabet.find(b"\n"), 0)]
    else:
        prompt = task.tokens_of(options.prompt, "--prompt")
    if options.seed is not None:
        fields.place("--seed", options.seed, len(settings.seeds), "the run has one seed")
    run = restored(workdir, settings)
    member = best(run) if options.seed is None else options.seed
    if (step := lost(run, member)) is not None:
        raise RunError(f"{workdir}: seed {member} has diverged at step {step}, and writes nothing")
    written = sample(run.models[member], prompt, temperature, options.draw)
    tokens = itertools.chain(prompt, itertools.islice(written, options.length))
    text = (task.alphabet[token : token + 1] for token in tokens)
    try:
        if sys.stdout.isatty():
            for part in terminal.visible(text):
                print(part, end="", flush=True)
        else:
            for byte in text:
                sys.stdout.buffer.write(byte)
                sys.stdout.buffer.flush()
        print(flush=True)
    except BrokenPipeError:  # its reader has enough; Python would try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def best(run: Run) -> int:
    """The seed with the lowest validation loss at the end; the first while a run goes on."""
    losses = run.summary["eval"]["loss"]["per_seed"] if run.summary else [0.0]
    return min(range(len(losses)), key=lambda seed: (losses[seed] is None, losses[seed]))


def lost(run: Run, member: int) -> int | None:
    """The step at which a seed diverged, unless it ends as it was at its best before that."""
    step, scores = int(run.state.diverged_step[member]), run.state.best_score
    if run.settings.experiment.keep == "best" and scores is not None:
        step = NOT_YET if np.isfinite(scores[member]) else step
    return None if step == NOT_YET else step


if __name__ == "__main__":
    commandline.run(main, usage.SAMPLE)
