"""The task of docs/python.md, from a file outside the repository."""

import re

import jax
import jax.numpy as jnp
import pytest

from experiments.runs import load
from experiments.system import own
from gru_jax import TASKS
from tests.programs import ROOT, program, tiny

pytestmark = pytest.mark.usefixtures("least_effort")


def test_the_pages_task_is_trained_and_loaded(tmp_path):
    page = (ROOT / "docs" / "python.md").read_text()
    (code,) = re.findall(
        r"^## A task of your own\n.*?```python\n(.*?)```", page, re.MULTILINE | re.DOTALL
    )
    file, folder = tmp_path / "repetition.py", tmp_path / "run"
    file.write_text(code)
    options = [option for option in tiny() if "task" not in option]
    program("train", f"--config={file}", "--config.task.length=7", *options, f"--workdir={folder}")
    try:
        own.imported(str(file))
        run = load(folder)
        task = run.settings.experiment.task
        keys = jax.random.split(jax.random.key(0), 99)
        words, answer = jax.tree.leaves(jax.vmap(task.example)(keys))
        assert words.shape == (99, 7)
        assert ((words[:, 1:] == words[:, :-1]).sum(1) == answer).all()
        assert 0.3 < jnp.mean(answer) < 0.7
    finally:
        TASKS.pop("repetition", None)
