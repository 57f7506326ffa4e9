"""Files of small sweeps, as a user writes them."""

import json
import textwrap

FILE = """
from configs import adding
from configs.variants import chain, product, values

def get_config(length="6"):
    config = adding.get_config()
    config.task.length = int(length)
    config.model.hidden_sizes = (4,)
    config.population.seeds = 2
    config.train.steps = {steps}
    config.train.log_every = 10
    config.train.checkpoint_every = 10
    config.train.batch_size = 4
    config.train.evaluation_examples = 8
    return config

def sweep(add):
{body}
"""

FEW = ("large-", "copy-T", "end", "start")  # what trials of fewer than eight seeds begin with


def sweep_file(path, body, steps=40):
    path.write_text(FILE.format(body=textwrap.indent(textwrap.dedent(body), "    "), steps=steps))
    return path


def rows(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
