"""The section config.model.regularizer, from a config to a run that is killed and resumed."""

import shutil

import pytest

from configs import common
from experiments.runs import load
from experiments.settings import schema
from experiments.settings.resolution import resolve
from experiments.settings.trials import described
from experiments.train import train
from experiments.training.memory import needed
from gru_jax import FieldError, Regularizer
from gru_jax.devices import make_mesh
from tests.programs import bits, one_line, program, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")

ON = {"model.cell": "vanilla", "model.regularizer.zoneout": (0.3,)}


def test_the_section_has_the_fields_and_defaults_of_the_dataclass_and_is_off():
    section = common.get_config().model.regularizer.to_dict()
    assert Regularizer(**section) == Regularizer()
    assert section.keys() == Regularizer.__dataclass_fields__.keys()
    assert not Regularizer(**section).is_random


def test_a_run_that_lost_its_last_checkpoint_ends_with_the_same_bits(tmp_path):
    config, whole, half = tiny_config(**ON), tmp_path / "whole", tmp_path / "half"
    run = train(config, str(whole), quiet=True)
    shutil.copytree(whole, half)
    (half / "summary.json").unlink()
    *earlier, last = sorted((half / "checkpoints").iterdir(), key=lambda file: int(file.stem))
    assert earlier
    shutil.rmtree(last)
    resumed = train(config, str(half), quiet=True)
    assert bits(resumed) == bits(run)
    assert (half / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text()
    found = load(half).models[0].regularizer
    assert found == Regularizer(zoneout=(0.3,))


def test_a_stored_config_without_the_section_is_one_with_its_defaults():
    stored = resolve(tiny_config()).config
    off = stored["model"].pop("regularizer")
    assert off == schema.plain(common.get_config().model.regularizer)
    assert resolve(stored).name == resolve(tiny_config()).name != resolve(tiny_config(**ON)).name


def test_a_sweep_has_regularised_trials_that_are_matched_in_parameters():
    def sweep(add):
        add("off", {}, parameters=500)
        add("on", {"model.regularizer.zoneout": (0.1,)}, parameters=500, reference="off")

    off, on = (trial.settings for trial in described(tiny_config().to_dict(), sweep))
    assert off.experiment.parameters == on.experiment.parameters
    assert off.program != on.program


def test_masks_are_in_the_estimate_of_memory():
    sizes = {"model.hidden_sizes": (64,), "train.batch_size": 64, "task.length": 60}
    plain, zoned = (
        needed(resolve(tiny_config(**sizes, **more)), make_mesh(2, 1))[1]
        for more in ({}, {"model.regularizer.zoneout": (0.1,)})
    )
    assert plain + 64 * 60 * 64 <= zoned < 1.5 * plain  # one byte for each unit and step


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"dropout": 0.1}, "dropout = 0.1: must be 0: there is only one layer"),
        ({"weight_drop": 1.0}, "weight_drop = 1.0: must be a finite number at least 0 and below 1"),
        ({"zoneout": (0.1, 0.1)}, "zoneout = (0.1, 0.1): must be one rate, or one for each of h"),
        ({"drop": 0.1}, "drop = 0.1: must be left out: there is no such field"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(overrides, message):
    config = tiny_config().to_dict()
    config["model"]["regularizer"] |= overrides
    with pytest.raises(FieldError) as caught:
        resolve(config)
    assert str(caught.value).startswith(f"config.model.regularizer.{message}")


def test_the_command_line_refuses_it_too(tmp_path):
    field = "--config.model.regularizer.recurrent_dropout=0.5"
    given = ["--config=configs/adding.py", "--config.model.cell=min_gru", field]
    out = program("train", *given, f"--workdir={tmp_path / 'run'}", expect=2)
    assert one_line(out.stderr)
    assert "must be 0: no Gate of MinGRUCell hears the state" in out.stderr
