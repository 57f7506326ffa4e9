"""A cell says once what tables, figures and the benchmark read; its name stands nowhere else."""

import ast
import shutil

import pytest

from experiments.figures import families, style
from experiments.figures import gradients as gradient_figures
from gru_jax import CELLS, VanillaCell
from scripts.benchmark.contenders import LeftOutError, Work, gates
from scripts.benchmark.entrants import CONTENDERS
from scripts.paper import gradients, performance, published, reach, results
from tests.programs import ROOT


class Mine(VanillaCell):
    """A cell of somebody's own."""

    TITLE = "my cell"
    KEEPING_GATE = "leak"


@pytest.fixture(autouse=True)
def mine(monkeypatch):
    """`Mine` is one of the cells, and figures are handed over as they are."""
    monkeypatch.setitem(CELLS, "mine", Mine)
    monkeypatch.setattr(style, "saved", lambda figure: figure)


def with_mine(sweep):
    """A sweep's committed results, and those of the vanilla cell once more as those of `Mine`."""
    found = list(results.load(sweep))
    for each in results.load(sweep):
        if each.row["cell"] == "vanilla":
            trial = each.row["trial"].replace("-vanilla-", "-mine-")
            found.append(results.Result(each.row | {"cell": "mine", "trial": trial}))
    return found


def legend(figure):
    return [text.get_text() for text in (figure.legends or [figure.axes[0].get_legend()])[0].texts]


def test_every_cell_has_a_look_and_a_title_of_its_own():
    assert len({tuple(families.style(cell).values()) for cell in CELLS}) == len(CELLS)
    assert len({families.title(cell) for cell in CELLS}) == len(CELLS)
    assert families.ordered(["gone", "mine", *CELLS, "gone"]) == [*CELLS, "gone"]
    assert families.title("gone") == "gone"
    assert families.keeping_gate("gone") is None


def test_gradients_of_a_new_cell_are_drawn_and_told(monkeypatch):
    found = gradients.load()
    like = found["initial"]["tanh-1"]
    initial = found["initial"] | {f"{c}-bias0": like | {"cell": c} for c in ("mine", "gone")}
    monkeypatch.setattr(gradients, "load", lambda: found | {"initial": initial})
    for name, figure in gradient_figures.figures({"initial": initial}).items():
        if name in ("transport", "loss", "weights"):
            titles = [axis.get_title(loc="left") for axis in figure.axes]
            assert titles == ["vanilla RNN", "LSTM", "GRU", "my cell", "gone"]
    assert "| my cell | leak bias 0 |" in gradients.initial()
    (line,) = (line for line in legend(gradients.poster()) if line.startswith("my cell"))
    assert line.startswith("my cell, leak bias 0: ")


def test_sweeps_with_a_new_cell_are_told(monkeypatch):
    found = {sweep: with_mine(sweep) for sweep in ("reach", "tasks", "digits")}
    load = results.load
    monkeypatch.setattr(results, "load", lambda sweep: found.get(sweep) or load(sweep))
    for table in (reach.table("adding"), results.table("tasks")):
        assert "| my cell |" in table
    assert "| digits of 8 x 8 pixels, one by one | my cell | nobody |" in published.whole()


def test_a_new_cell_is_timed_beside_the_floor(monkeypatch, tmp_path):
    work = Work(batch=2, time=3, features=2, hidden=4)
    assert gates(Mine) == ("candidate",)
    CONTENDERS["floor"]("mine", work).train(1)
    with pytest.raises(LeftOutError, match="no mine cell"):
        CONTENDERS["flax.nnx"]("mine", work)
    for cell in (*performance.timed(), "mine"):
        like = "vanilla" if cell == "mine" else cell
        path = results.RESULTS / f"benchmark_{like}.json"
        shutil.copy(path, tmp_path / f"benchmark_{cell}.json")
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    for table in (performance.versus(), performance.paths()):
        assert "| my cell | A |" in table


def test_no_name_of_a_cell_stands_in_programs_and_scripts():
    found = {}
    for path in [*ROOT.glob("experiments/**/*.py"), *ROOT.glob("scripts/**/*.py")]:
        nodes = ast.walk(ast.parse(path.read_text()))
        constants = {node.value for node in nodes if isinstance(node, ast.Constant)}
        if names := constants & CELLS.keys():
            found[str(path.relative_to(ROOT))] = names
    assert found == {}
