"""Every config: each field is read, and each bad value is one line that names it."""

import copy
import dataclasses
import importlib
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest

from configs import adding, common
from experiments.settings.resolution import resolve
from experiments.settings.trials import described
from gru_jax import CELLS, TASKS, Adding, FieldError, LSTMCell, VanillaCell
from tests.collected import music, texts
from tests.programs import tiny_config

CONFIGS = {
    path.stem: path
    for path in sorted((Path(__file__).parent.parent.parent / "configs").glob("*.py"))
    if path.stem not in ("__init__", "ablations", "common", "variants")
}
BAD = "\0 nothing takes this"


def leaves(config, path=()):
    for name, value in config.items():
        if hasattr(value, "items"):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name)


def with_value(config, path, value):
    changed = copy.deepcopy(config)
    section = changed
    for name in path[:-1]:
        section = section[name]
    section[path[-1]] = value
    return changed


FILES = {"piano": lambda folder: music(folder)[0], "text": texts, "characters": texts}


def get_config(name, *argument):
    return importlib.import_module(f"configs.{name}").get_config(*argument).to_dict()


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_resolve_and_every_field_is_read(name, tmp_path):
    """A value that no field accepts is found in every field, so every field is read."""
    config = get_config(name, *([str(FILES[name](tmp_path))] if name in FILES else []))
    assert resolve(config).name.startswith(name + "-")
    for path in leaves(config):
        of_a_cell = path[1:2] and path[1] in CELLS
        if of_a_cell and name != "adding":
            continue  # the sections of cells are the same in all configs
        # Each cell's section is read when that cell is chosen.
        chosen = path[1] if of_a_cell else config["model"]["cell"]
        base = copy.deepcopy(config)
        others = {name: defaults(name) for name in CELLS if name != chosen}
        base["model"] |= {"cell": chosen, "start": "cell", "chrono_max": 0.0, **others}
        changed = with_value(base, path, BAD)
        with pytest.raises(FieldError) as caught:
            resolve(changed)
        message = str(caught.value)
        assert message.startswith("config." + ".".join(path) + " = "), message
        assert "\n" not in message


@pytest.mark.quick
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", "../escape", "config.name = '../escape': must be a short name"),
        ("task.name", "ading", "config.task.name = 'ading': .*did you mean 'adding'"),
        ("task.lenght", 10, "config.task.lenght = 10: must be left out.*did you mean 'length'"),
        ("task.length", 1, "config.task.length = 1: must be a whole number, at least 2"),
        ("model.cell", "gruu", "config.model.cell = 'gruu': .*did you mean 'gru'"),
        ("model.gru.update_gate", "both", "config.model.gru.update_gate = 'both'"),
        ("model.gru.in_features", 3, "config.model.gru.in_features = 3: must be left out"),
        ("model.gru.keeping_bias", 1.0, "config.model.gru.keeping_bias = 1.0: must be left out"),
        ("model.keeping_bias", "a", "config.model.keeping_bias = 'a': must be a finite number"),
        ("model.chrono_max", 1.0, "config.model.chrono_max = 1.0: .*above 2"),
        ("model.chrono_max", -1.0, "config.model.chrono_max = -1.0: .*at least 0"),
        ("model.chrono_max", None, "config.model.chrono_max = None: must be 0, which turns it off"),
        ("model.hidden_sizes", (), "config.model.hidden_sizes = .*one whole number a layer"),
        ("model.hidden_sizes", (8, 0), "config.model.hidden_sizes = 0"),
        ("model.encoder", "one_hot", "config.model.encoder = 'one_hot': must be auto"),
        ("model.embedding_size", 0, "config.model.embedding_size = 0"),
        (
            "model.dtype",
            "float16",
            "config.model.dtype = 'float16': must be one of float32, bfloat16",
        ),
        ("model.gradient", "fast", "config.model.gradient = 'fast': must be one of auto, plain"),
        ("model.segment", -1, "config.model.segment = -1: must be a whole number, at least 0"),
        ("model.unroll", 0, "config.model.unroll = 0"),
        ("optimizer.learning_rate", -1.0, "config.optimizer.learning_rate = -1.0: .*above 0"),
        ("optimizer.learning_rate", float("nan"), "config.optimizer.learning_rate = nan"),
        ("optimizer.clip_norm", -1.0, "config.optimizer.clip_norm = -1.0"),
        (
            "optimizer.schedule",
            "cosin",
            "config.optimizer.schedule = 'cosin'.*did you mean 'cosine'",
        ),
        ("optimizer.warmup_steps", 5, "config.optimizer.warmup_steps = 5: must be 0"),
        ("population.seeds", 0, "config.population.seeds = 0"),
        ("population.learning_rates", (0.1,), "config.population.learning_rates = .*a list of 8"),
        ("population.clip_norms", (1.0,) * 7 + (-1.0,), "config.population.clip_norms = -1.0"),
        ("train.steps", 75, "config.train.steps = 75: must be a multiple of log_every .50."),
        ("train.checkpoint_every", 0, "config.train.checkpoint_every = 0"),
        ("train.target_metric", "accuracy", "config.train.target_metric = 'accuracy'"),
        ("train", 3, "config.train = 3: must be a section with fields"),
        ("modle", 3, "config.modle = 3: must be left out.*did you mean 'model'"),
    ],
)
def test_bad_values(path, value, message):
    with pytest.raises(FieldError, match=message):
        resolve(with_value(get_config("adding"), path.split("."), value))


@pytest.mark.quick
def test_a_missing_field():
    config = get_config("adding")
    del config["train"]["batch_size"]
    with pytest.raises(FieldError, match=r"^config.train.batch_size = None: must be given$"):
        resolve(config)
    del config["optimizer"], config["model"]["segment"], config["train"]["keep"]
    others = "config.optimizer, config.train.batch_size, config.train.keep"
    told = f"^config.model.segment = None: must be given, and so must {others}$"
    with pytest.raises(FieldError, match=told):
        resolve(config)


def defaults(cell):
    """The section of a cell that nothing is set in."""
    return common.get_config().model[cell].to_dict()


def test_every_base_field_has_a_comment():
    text = inspect.getsource(common.get_config) + inspect.getsource(common.collected)
    fields = re.compile(
        r"(config|model|regularizer|optimizer|population|train)[.\w]* = "
        r"(?!.*(Section|get_config)\()"
    )
    lines = [line for line in text.splitlines() if fields.match(line.strip())]
    assert len(lines) > 30
    assert all("  # " in line for line in lines), [line for line in lines if "  # " not in line]


@pytest.mark.parametrize("name", CELLS)
def test_the_options_of_a_cell_are_fields_that_its_docstring_describes(name):
    made = CELLS[name].options()
    assert made.keys() == defaults(name).keys() | {"keeping_bias"} & made.keys()
    assert {option: value for option, value in defaults(name).items() if value is not None} == {
        option: value for option, value in made.items() if value is not None
    }
    for option in made:
        assert re.search(rf"^ +([\w]+, )*{option}(, \w+)*: ", CELLS[name].__doc__, re.MULTILINE), (
            option
        )


def test_equal_configs_have_equal_names_and_others_do_not():
    config = get_config("adding")
    assert resolve(config).name == resolve(adding.get_config()).name
    assert resolve(config).name != resolve(with_value(config, ["train", "steps"], 50)).name


@pytest.mark.quick
def test_the_names_of_runs_stay():
    """A run's folder is found again by a later version: what is added may not change these."""
    assert resolve(adding.get_config()).name == "adding-c5ab0912"
    config = with_value(get_config("copy_first"), ["train", "steps"], 500)
    assert resolve(config).name == "copy_first-82cbe553"
    chosen = with_value(get_config("adding"), ["model", "cell"], "lstm")
    chosen = with_value(chosen, ["model", "keeping_bias"], 2.0)
    assert resolve(chosen).name == "adding-d2afee95"


def test_a_run_is_the_same_whether_its_defaults_are_given_or_not():
    whole = get_config("adding")
    assert whole["task"]["protocol"] == "halves"
    config = copy.deepcopy(whole)
    del config["task"]["protocol"]
    assert resolve(config).config == resolve(whole).config
    assert resolve(config).name == resolve(whole).name
    assert (
        resolve(with_value(config, ["task", "protocol"], "anywhere")).name != resolve(config).name
    )


@pytest.mark.quick
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("gru.reset", "open", "'open': must be left at its default: model.cell is 'lstm'"),
        ("vanilla.bias", BAD, ".*: must be left at its default: model.cell is 'lstm'"),
        ("gru.rest", "open", "'open': must be left out: .*did you mean 'reset'"),
        ("gru", 3, "3: must be a section with fields"),
    ],
)
def test_an_option_of_a_cell_that_is_not_chosen(path, value, message):
    config = with_value(get_config("adding"), ["model", "cell"], "lstm")
    resolve(with_value(config, ["model", "vanilla", "scale"], 1))  # as good as its default
    with pytest.raises(FieldError, match=f"^config.model.{path} = {message}"):
        resolve(with_value(config, ["model", *path.split(".")], value))


def test_a_resolved_config_has_the_chosen_cells_section_alone_and_resolves_to_itself():
    config = with_value(get_config("adding"), ["model", "cell"], "lstm")
    settings = resolve(config)
    assert settings.config["model"].keys() & CELLS.keys() == {"lstm"}
    assert resolve(settings.config).config == settings.config
    assert resolve(settings.config).name == settings.name


def test_a_stored_config_that_lacks_fields_gets_their_defaults():
    settings = resolve(adding.get_config())
    stored = copy.deepcopy(settings.config)
    for path in (["task", "protocol"], ["model", "gru", "activation"], ["train", "keep"]):
        section = stored
        for name in path[:-1]:
            section = section[name]
        del section[path[-1]]
    del stored["population"]
    assert resolve(stored).config == settings.config
    del stored["schema"]  # somebody's own config: what is missing may have been forgotten
    with pytest.raises(FieldError, match="= None: must be given"):
        resolve(stored)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", 4, "4: must be in 1..3: another version of this program stored it"),
        ("schema", True, "True: must be in 1..3"),
        ("schema", 0, "0: must be in 1..3"),
        ("train.novelty", 3, "3: must be left out: there is no such field"),
        ("model.gru.reset_befor", 3, "3: must be left out: there is no such field"),
        ("model", 3, "3: must be a section with fields"),
        ("task", None, "None: must be a section with fields"),
        ("model.cell", "mine", r"'mine': must be registered first: .*CELLS\['mine'\] = .*--import"),
        ("task.name", "mine", r"'mine': must be registered first: .*TASKS\['mine'\] = .*--import"),
        ("model.cell", ["gru"], "must be one of gru"),
    ],
)
def test_a_stored_config_that_cannot_be_used_here(path, value, message):
    stored = with_value(resolve(adding.get_config()).config, path.split("."), value)
    with pytest.raises(FieldError, match=f"^config.{path} = .*{message}"):
        resolve(stored)


@pytest.mark.quick
def test_per_seed_values_and_no_clip():
    config = with_value(get_config("adding"), ["population", "seeds"], 2)
    config = with_value(config, ["population", "learning_rates"], (0.1, 0.2))
    config = with_value(config, ["population", "first_seed"], 5)
    config = with_value(config, ["optimizer", "clip_norm"], 0.0)
    settings = resolve(config)
    assert settings.seeds == (5, 6)
    assert settings.learning_rates == (0.1, 0.2)
    assert settings.clip_norms == (float("inf"),) * 2


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_chrono_reaches_the_cell(cell):
    from flax import nnx

    config = with_value(get_config("adding"), ["model", "cell"], cell)
    config = with_value(config, ["model", "chrono_max"], 100.0)
    model = resolve(config).experiment.build(nnx.Rngs(0))
    made = model.layers[0].forward.cell
    bias = np.asarray((made.update if cell == "gru" else made.forget).bias[...])
    assert bias.min() >= 0
    assert np.std(bias) > 0.5
    config = with_value(config, ["model", "keeping_bias"], 1.0)
    with pytest.raises(FieldError, match=r"keeping_bias = 1.0: must be left out with chrono_max"):
        resolve(config)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("chrono_max", 9.0, "9.0: must be 0: "), ("keeping_bias", 0.0, "0.0: must be None: ")],
)
def test_a_cell_without_a_keeping_bias_refuses_its_start(field, value, message):
    config = with_value(get_config("adding"), ["model", "cell"], "vanilla")
    resolve(config)
    told = f"^config.model.{field} = {message}the cell 'vanilla' has no keeping_bias$"
    with pytest.raises(FieldError, match=told):
        resolve(with_value(config, ["model", field], value))


def test_a_start_in_a_config_reaches_other_cells():
    config = with_value(get_config("copy_first"), ["model", "cell"], "lstm")
    assert resolve(config).config["model"]["chrono_max"] == 100.0
    config = with_value(config, ["model", "cell"], "vanilla")
    with pytest.raises(FieldError, match=r"config.model.chrono_max = 100.0: must be 0"):
        resolve(config)
    resolve(with_value(config, ["model", "chrono_max"], 0.0))


@pytest.mark.parametrize(
    ("section", "field", "values"),
    [
        ("gru", "bias", ["none", "reset", "update", "candidate", "recurrent"]),
        ("gru", "reset", ["inputs", "state", "constant", "open"]),
        ("gru", "update", ["inputs", "state", "constant", "refined", "keep", "replace"]),
        ("gru", "gate_activation", ["hard_sigmoid"]),
        ("gru", "activation", ["relu", "softsign", "identity"]),
        ("lstm", "bias", ["none", "input", "forget", "candidate", "output"]),
        ("lstm", "input", ["inputs", "state", "constant", "open", "coupled"]),
        ("lstm", "forget", ["inputs", "state", "constant", "refined", "keep", "replace"]),
        ("lstm", "output", ["inputs", "state", "constant", "open"]),
        ("lstm", "peepholes", ["all", "input", ["forget", "output"]]),
        ("lstm", "activation", ["relu", "softsign", "identity"]),
        ("vanilla", "activation", ["relu", "softsign", "identity"]),
        ("vanilla", "bias", ["none"]),
        ("vanilla", "recurrent_start", ["identity"]),
    ],
)
def test_every_choice_that_a_comment_names_is_one_override_away(section, field, values):
    config = with_value(get_config("adding"), ["model", "cell"], section)
    for value in values:
        resolve(with_value(config, ["model", section, field], value))


def test_a_name_that_is_registered_anew_builds_the_new_cell(monkeypatch):
    class First(VanillaCell):
        def __init__(self, *sizes, rngs, **options):
            super().__init__(*sizes, rngs=rngs, **options)

    class Second(LSTMCell):
        def __init__(self, *sizes, rngs, **options):
            super().__init__(*sizes, rngs=rngs, **options)

    counts = []
    for cell in (First, Second):
        monkeypatch.setitem(CELLS, "mine", cell)
        config = adding.get_config()
        config.model.cell = "mine"
        counts.append(resolve(config).experiment.parameters)
    assert counts[1] > 3 * counts[0]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("path", "value", "plain"),
    [
        ("task.length", np.int64(4), 4),
        ("train.steps", np.uint16(100), 100),
        ("train.target", np.float32(0.5), 0.5),
        ("optimizer.clip_norm", np.int8(2), 2.0),
        ("model.bidirectional", np.bool_(True), True),
        ("model.hidden_sizes", (np.int64(5), np.int32(6)), (5, 6)),
        ("population.learning_rates", tuple(np.full(8, 0.5, np.float32)), (0.5,) * 8),
    ],
)
def test_numpy_scalars_in_a_config(path, value, plain):
    section, field = path.split(".")
    found, expected = adding.get_config(), adding.get_config()
    found[section][field], expected[section][field] = value, plain
    assert json.dumps(resolve(found).config) == json.dumps(resolve(expected).config)


def test_numpy_scalars_in_the_overrides_of_a_trial():
    (trial,) = described(
        adding.get_config().to_dict(),
        lambda add: add("T4", {"task.length": np.arange(4, 5)[0]}, parameters=np.int64(50)),
    )
    assert json.loads(json.dumps(trial.overrides))["task.length"] == 4


def test_equal_experiments_are_one_unless_a_task_has_no_hash(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Listed(Adding):
        several: list = dataclasses.field(default_factory=list)

    first, second, other = (resolve(tiny_config(**{"task.length": n})) for n in (9, 9, 10))
    assert first.experiment is second.experiment
    assert first.experiment is not other.experiment
    monkeypatch.setitem(TASKS, "listed", Listed)
    assert resolve(tiny_config(**{"task.name": "listed"})).experiment.task.several == []
