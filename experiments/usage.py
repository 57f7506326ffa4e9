"""What each program is for, with examples and its flags. It imports nothing that is slow."""

from experiments.system.manual import FIELD, SWITCH, Flag, Program

CONFIG = (
    Flag("config", "FILE", "a config file, such as those in configs/"),
    Flag(
        "config.FIELD",
        "VALUE",
        "another value for a field of it; configs/common.py explains every field, and "
        "experiments.train --describe=NAME the options of a cell or a task",
        kind=FIELD,
    ),
)
DATA = Flag(
    "data",
    "FILE",
    "where the run's data file lies now (default: where it lay); may be repeated",
    [],
    "multi_string",
)
RUN = Flag("run", "DIR", "the run's folder; must be given", required=True)

TRAIN = Program(
    name="train",
    purpose="Trains a population of models as a config describes it, one for each seed.",
    examples=(
        ("eight GRUs learn the adding problem", "--config=configs/adding.py"),
        (
            "another cell, and longer sequences",
            "--config=configs/adding.py --config.model.cell=lstm --config.task.length=200",
        ),
        ("what a cell or a task is, and which options it has", "--describe=gru"),
    ),
    more=(
        "The same command again resumes the run, or says that it is finished. The run's folder "
        "has its config, metrics, checkpoints, curves and a summary; the other programs read it.",
    ),
    flags=(
        *CONFIG,
        Flag("workdir", "DIR", "the run's folder (default: runs/CONFIG-HASH)"),
        Flag("describe", "NAME", "say what a cell or a task is, and its options; needs no config"),
        Flag("extend", "", "continue a run up to a higher config.train.steps", False, SWITCH),
        Flag("force", "", "take the folder over from a process on another host", False, SWITCH),
        DATA,
        Flag(
            "distributed",
            "",
            "run on several processes, started by srun, mpirun or the three flags below",
            False,
            SWITCH,
        ),
        Flag("coordinator", "HOST:PORT", "of process 0, with --distributed"),
        Flag("processes", "N", "how many there are, with --distributed", kind="integer"),
        Flag("process", "N", "which one this is, from 0, with --distributed", kind="integer"),
    ),
)

EVALUATE = Program(
    name="evaluate",
    purpose="Evaluates the models of a run, on validation and on test examples.",
    examples=(
        ("both splits, median and range over the seeds", "--run=runs/adding-HASH"),
        (
            "test examples of other lengths, with a figure",
            "--run=runs/adding-HASH --lengths=100,200",
        ),
        ("more examples than during training", "--run=runs/adding-HASH --examples=5120"),
    ),
    more=(
        "Of more examples, the first are those of the run's own evaluations. With several "
        "lengths, the run's folder gets lengths.png and lengths.json.",
    ),
    flags=(
        RUN,
        Flag(
            "lengths",
            "N,N,...",
            "judge test examples of these lengths (default: the run's own)",
            kind="list",
        ),
        Flag(
            "examples",
            "N",
            "on how many, a multiple of the run's own number (the default)",
            kind="integer",
        ),
        DATA,
    ),
)

SWEEP = Program(
    name="sweep",
    purpose="Runs the trials of a sweep, on this machine or on a Slurm cluster, and makes a "
    "report that compares them.",
    examples=(
        ("only list the trials", "--config=configs/sweeps/gates.py --list"),
        ("run what is missing of some", "--config=configs/sweeps/gates.py --only='copy-*'"),
        (
            "all of them, as jobs of a cluster",
            "--config=configs/sweeps/gates.py --launcher=slurm --slurm=partition=gpu,minutes=60",
        ),
    ),
    more=(
        "The same command again runs what is missing and what failed. The folder then has "
        "report.html, results.csv, and the run of each trial; docs/sweeps.md says more.",
    ),
    flags=(
        *CONFIG,
        Flag("workdir", "DIR", "the sweep's folder (default: runs/sweeps/NAME)"),
        Flag(
            "list",
            "",
            "only list the trials, their sizes and how long they may take",
            False,
            SWITCH,
        ),
        Flag("force", "", "take folders over from a process on another host", False, SWITCH),
        Flag("only", "PATTERN", "which trials to run, by name, with * and ?", "*"),
        Flag("done", "FILE", "the results.jsonl of trials that have been run in another folder"),
        Flag("launcher", "WHERE", "local, or slurm for jobs of a cluster", "local"),
        Flag(
            "workers",
            "N",
            "with --launcher=local: processes at a time; 0 for one per CPU, or one on a GPU",
            0,
            "integer",
        ),
        Flag(
            "slurm",
            "NAME=VALUE,...",
            "with --launcher=slurm: options such as partition=gpu,minutes=60",
            [],
            "list",
        ),
        Flag(
            "pack",
            "",
            "train each trial alone, and not with others of the same compiled program",
            True,
            SWITCH,
        ),
    ),
)

GRADIENTS = Program(
    name="gradients",
    purpose="Measures how far cells carry a gradient back in time.",
    examples=(
        ("every trial of a file, at initialisation", "--config=configs/gradients.py"),
        ("some of them", "--config=configs/gradients.py --only='gru*'"),
        (
            "the runs of a sweep as well, before and after training",
            "--config=configs/gradients.py --runs=runs/sweeps/gates",
        ),
    ),
    more=(
        "The folder gets gradients.json and figures of all trials side by side. The same command "
        "again measures only what is missing.",
    ),
    flags=(
        *CONFIG,
        Flag("workdir", "DIR", "the folder for measurements and figures", "runs/gradients"),
        Flag("force", "", "take the folder over from a process on another host", False, SWITCH),
        Flag("only", "PATTERN", "which trials of the config, by name, with * and ?", "*"),
        Flag("runs", "DIR", "the folder of a trained run or sweep, to measure too"),
        DATA,
        Flag("inputs", "N", "on how many examples to measure each seed", 4, "integer"),
        Flag("exponents", "N", "how many of the largest Lyapunov exponents", 16, "integer"),
    ),
)

GATES = Program(
    name="gates",
    purpose="Shows what the gates of a trained run do.",
    examples=(
        ("the first seed over the first example", "--run=runs/adding-HASH"),
        ("another seed and another example", "--run=runs/adding-HASH --seed=3 --example=5"),
        ("the second of two layers", "--run=runs/adding-HASH --layer=1"),
    ),
    more=(
        "The run's folder gets gates.png, every gate of one seed over one example with the units "
        "ordered by their time scale, and gates.json, the means of every gate for each seed, by "
        "token and by step.",
    ),
    flags=(
        RUN,
        Flag("seed", "N", "which seed of the population to draw, from 0", 0, "integer"),
        Flag("example", "N", "which example of the evaluation set, from 0", 0, "integer"),
        Flag("layer", "N", "which layer, from 0 at the input", 0, "integer"),
        Flag(
            "examples",
            "N",
            "over how many, the first ones, to take means (default: 128, or as many as there are)",
            kind="integer",
        ),
        DATA,
    ),
)

SAMPLE = Program(
    name="sample",
    purpose="Writes on from a prompt with a trained model of characters.",
    examples=(
        ("a thousand characters", "--run=runs/characters-HASH --prompt='**HAMLET**'"),
        ("safer ones", "--run=runs/characters-HASH --temperature=0.4"),
        ("what else the same model might have written", "--run=runs/characters-HASH --draw=1"),
    ),
    more=(
        "The model reads the prompt and then what it has written, and at each step draws the next "
        "byte from softmax(outputs / temperature). Equal commands write equal texts. A terminal is "
        "shown control characters escaped, but for new lines and tabs; a file or a pipe gets the "
        "bytes as they are, and a new line at the end.",
    ),
    flags=(
        RUN,
        Flag("prompt", "TEXT", "what the text begins with (default: a new line)"),
        Flag(
            "temperature",
            "X",
            "below 1, likelier characters; 0 for the likeliest alone",
            0.7,
            "float",
        ),
        Flag("length", "N", "how many bytes to write", 1000, "integer"),
        Flag(
            "seed", "N", "which seed of the population, from 0 (default: the best)", kind="integer"
        ),
        Flag("draw", "N", "which of the texts that the model might write", 0, "integer"),
        DATA,
    ),
)

REPORT = Program(
    name="report",
    purpose="Makes one page about runs and sweeps: what was run, the results, and how certain "
    "they are.",
    takes="DIR...",
    examples=(
        ("of a sweep: writes runs/sweeps/gates/report.html", "runs/sweeps/gates"),
        ("of two runs", "runs/adding-HASH runs/copy-HASH --output=both.html"),
        ("of a run with a cell of your own", "runs/mine-HASH --import=mine.py"),
    ),
    flags=(
        Flag("output", "FILE", "the page to write (default: report.html in the first DIR)"),
        DATA,
    ),
)

WATCH = Program(
    name="watch",
    purpose="Follows a run or a sweep in the browser: the page of experiments.report, which "
    "changes as results come.",
    examples=(
        ("a sweep that goes on, at 127.0.0.1:8765", "--run=runs/sweeps/gates"),
        ("at any free port", "--run=runs/adding-HASH --port=0"),
        ("with a data file that has been moved", "--run=runs/text-HASH --data=reviews.tsv"),
    ),
    more=(
        "It reads the folder while others write to it, and changes nothing there. Only a browser "
        "on this machine is answered; Ctrl-C ends it. From another machine, first: ssh -L "
        "8765:127.0.0.1:8765 THIS_ONE",
    ),
    flags=(
        Flag("run", "DIR", "the folder of a run or a sweep; must be given", required=True),
        Flag("port", "N", "where the page is to be found; 0 for any free port", 8765, "integer"),
        DATA,
    ),
)

PROGRAMS = {
    each.name: each for each in (TRAIN, EVALUATE, SWEEP, GRADIENTS, GATES, SAMPLE, REPORT, WATCH)
}


def program(module: str) -> Program | None:
    """The program of `python -m MODULE`, if it is one of these."""
    return PROGRAMS.get(module.removeprefix("-m").removeprefix("experiments."))
