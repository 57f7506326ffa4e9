"""The notebooks run, print and draw what is kept in them, and what they say of it is true."""

import re
import traceback
from unittest import mock

import numpy as np
import pytest

from gru_jax import CELLS, TASKS
from gru_jax.initializers import Chrono
from scripts.notebooks import FOLDER, read, run, written
from tests.programs import program

# What each notebook says of its results, in the names that it defines.
CLAIMS = {
    "1_gates": [
        "all(same)",
        "min(run.summary['eval']['accuracy']['per_seed']) > 0.9",
        "all(np.ptp([update[verdicts == said, plot].mean((0, 1)) for said in (0, 1)], axis=0).max()"
        "> 0.3 for update in update_gates)",
    ],
    "2_population": [
        "0.99 < runs['LSTM'].summary['parameters'] / runs['GRU'].summary['parameters'] < 1",
        "all(len(steps) - steps.count(None) > 5 for steps in solved.values())",
        "abs(improvement([scores['GRU']], [scores['LSTM']]).value - result.better) < 1e-6",
    ],
    "3_own_cell": [
        # A bias of 4 carries what would be gone; the minimal RNN carries less and learns faster.
        "min(at_end(carried(makes[f'{cell}, bias 4'])) for cell in both) > -7",
        "max(at_end(carried(makes[f'{cell}, bias 0'])) for cell in both) < -30",
        "all(at_end(carried(makes[f'{both[0]}, bias {b}'])) > "
        "at_end(carried(makes[f'{both[1]}, bias {b}'])) for b in (0, 4))",
        "all(updates(runs[f'{c}, bias 4']) < updates(runs[f'{c}, bias 0']) for c in both)",
        "all(updates(runs[f'{both[1]}, bias {b}']) < "
        "updates(runs[f'{both[0]}, bias {b}']) for b in (0, 4))",
        # The bias may be an initialiser.
        "1 < np.exp(MinimalRNNCell(2, 9, keeping_bias=Chrono(20.0), rngs=nnx.Rngs(0))"
        ".update.bias[...]).max() < 19",
    ],
    "4_own_task": [
        "right",
        "abs(batch.targets.mean() - 0.5) < 0.05",
        "np.median(accuracy['trained with 5 words'][-1]) < 0.8",
        "np.min(accuracy['trained with 20 words']) > 0.95",
    ],
    "5_pytorch": [
        "same_outputs and same_gradients and same_states",
        "loss < 0.1 * task.baseline_loss",
        "update[one[:, 1] == 1].mean() < update[one[:, 1] == 0].mean() - 0.05",
        "gradient.log_state[-1] < gradient.log_state[:10].min() - 0.5",
    ],
    "6_reinforcement": [
        "correct['with memory'][:, -50:].mean(axis=1).min() > 0.9",
        "abs(correct['without memory'][:, -50:].mean() - 0.5) < 0.05",
    ],
}
NAMES = {
    "Chrono": Chrono,
    "both": ("GRU", "minimal RNN"),
    "at_end": lambda logs: float(logs[:, -1].mean()),
    "updates": lambda run: float(
        np.median([step or np.inf for step in run.summary["solved_step"]])
    ),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_notebook_does_what_is_kept_in_it_and_what_it_says(name, request, tmp_path, monkeypatch):
    if name == "5_pytorch":
        request.getfixturevalue("torch")
    monkeypatch.chdir(tmp_path)
    kept, again = read(FOLDER / f"{name}.ipynb"), read(FOLDER / f"{name}.ipynb")
    with mock.patch.dict(CELLS), mock.patch.dict(TASKS):
        names = run(again, name)
        for claim in CLAIMS[name]:
            assert eval(claim, names | NAMES), claim
    assert [outputs(cell) for cell in again["cells"]] == [outputs(cell) for cell in kept["cells"]]


def outputs(cell):
    """The kinds and the words of what a cell of code printed and drew, without numbers."""
    found = []
    for output in cell.get("outputs", []):
        text = output["text"] if "text" in output else output["data"]["text/plain"]
        numberless = re.sub(r"-?\d[\d.,%e-]*|None\b,?", "#", text).split()
        found.append((output["output_type"], sorted(output.get("data", {})), numberless))
    return found


def test_each_notebook_is_tested_small_and_kept_as_it_is_written():
    paths = sorted(FOLDER.glob("*.ipynb"))
    assert [path.stem for path in paths] == list(CLAIMS)
    for path in paths:
        text = path.read_text()
        assert text == written(read(path))
        assert len(text) < 300_000
        assert any(outputs(cell) for cell in read(path)["cells"])


def test_each_notebook_finds_the_configs_outside_of_the_clone():
    """An editable install makes `experiments` importable, which then makes `configs` so."""
    told = 0
    for path in FOLDER.glob("*.ipynb"):
        code = [c["source"] for c in read(path)["cells"] if c["cell_type"] == "code"]
        roots = re.findall(r"^(?:from|import) (\w+)", "\n".join(code), re.MULTILINE)
        if "configs" in roots:
            told += 1
            assert "experiments" in roots[: roots.index("configs")], path
    assert told == 4


def cells(*sources):
    return {"cells": [{"cell_type": "code", "source": source} for source in sources]}


def test_outputs_are_those_of_jupyter():
    drawing = "import matplotlib.pyplot as plt\nplt.plot([x])\nplt.show()"
    notebook = cells("x = 2", "print(x)\nx + 1", drawing, "# nothing")
    assert run(notebook, "some")["x"] == 2
    nothing, both, figure, empty = (cell["outputs"] for cell in notebook["cells"])
    assert nothing == empty == []
    assert [output["output_type"] for output in both] == ["stream", "execute_result"]
    assert both[0]["text"] == "2\n"
    assert both[1]["data"] == {"text/plain": "3"}
    assert [output["output_type"] for output in figure] == ["display_data"]
    assert figure[0]["data"]["image/png"].startswith("iVBOR")


def test_an_error_names_the_cell_and_shows_its_line():
    with pytest.raises(ZeroDivisionError) as error:
        run(cells("x = 0", "y = 1\ny / x"), "some")
    told = "".join(traceback.format_exception(error.value))
    assert '"<some, cell 2>", line 2' in told
    assert "y / x" in told


def test_what_is_no_notebook_takes_one_line():
    found = program("scripts.notebooks", "nothing", expect=2)
    (line,) = found.stderr.splitlines()
    assert re.fullmatch(r"error: NAME = 'nothing': must be one of 1_gates, .*", line)
