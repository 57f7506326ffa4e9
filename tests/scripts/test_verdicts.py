"""What docs/text.md says of verdicts in real words."""

import json
from types import SimpleNamespace

import numpy as np

from experiments.datasets.sources import load_task
from experiments.datasets.texts import words_of
from experiments.measurements.gates import Recorded
from gru_jax.tasks.base import Example
from scripts.paper import results, verdict_gates, verdicts
from scripts.paper.sentiment import per_seed


def after(place, count):
    return {name: verdicts.right(name, place, count) for name in results.variants("verdicts")}


def chance(seeds):
    return [abs(right - 0.5) < 0.04 for right in seeds]


COUNTS = (2, 5, 10, 20)
GATED = ("gru", "gru_chrono", "lstm", "lstm_chrono")


def test_a_verdict_before_the_plot_is_kept_where_gates_start_near_1():
    for count in COUNTS:
        start = after("start", count)
        assert all(chance(start["gru"]) + chance(start["vanilla"]))
        assert sum(chance(start["lstm"])) == (1 if count == 2 else 4)
        for name in ("gru_chrono", "lstm_chrono"):
            assert min(start[name]) > (0.68 if count == 20 else 0.69)
            behind = np.median(after("end", count)[name]) - np.median(start[name])
            assert 0 < behind < (0.06 if count == 20 else 0.04)


def test_after_a_plot_of_any_length_gated_cells_are_one_to_four_points_below_none():
    none = after("end", 0)
    for count in COUNTS:
        end = after("end", count)
        lost = [np.median(none[name]) - np.median(end[name]) for name in GATED]
        assert 0.01 < min(lost) < max(lost) < 0.045
        assert min(min(end[name]) for name in GATED) > 0.7


def test_a_vanilla_rnn_reads_twenty_sentences_with_two_of_four_seeds():
    for count in COUNTS:
        lost = [right < 0.6 for right in after("end", count)["vanilla"]]
        assert sum(lost) == (2 if count == 20 else 0)


def test_without_a_plot_there_is_one_place():
    assert after("start", 0) == after("end", 0)
    (row,) = (
        each for each in results.load("verdicts") if each.row["trial"].startswith("end0-T64-lstm-")
    )
    assert verdicts.right("lstm", "start", 0) == per_seed(row, "test")


def gate(where, name, part, when="after"):
    return np.array(verdict_gates.load()["gates"][where][name][when][part])


BY_PARTS = verdict_gates.PARTS


def test_14_in_real_words_the_reset_gate_does_not_close_at_the_turn():
    for where in ("at the end", "at the end, chrono"):
        plot, turn, verdict = (gate(where, "reset", part) for part in BY_PARTS)
        for values in (plot, turn, verdict):
            assert 0.37 < values.min() < values.max() < 0.47
        assert np.abs(turn - plot).max() < 0.03
        np.testing.assert_allclose(gate(where, "reset", "plot", "before"), 0.5, atol=0.01)


def test_14_in_real_words_the_update_gate_lets_go_a_little():
    plot, turn, _ = (gate("at the end", "update", part) for part in BY_PARTS)
    assert min(*plot, *turn) > 0.52 > gate("at the end", "update", "plot", "before").max()
    assert 0.01 < (plot - turn).min() < (plot - turn).max() < 0.04
    plot, turn, _ = (gate("at the end, chrono", "update", part) for part in BY_PARTS)
    assert 0 < (plot - turn).min() < (plot - turn).max() < 0.01


def test_15_in_real_words_the_reset_gate_is_lower_in_the_plot_than_in_the_verdict_before_it():
    plot, _, verdict = (gate("at the start, chrono", "reset", part) for part in BY_PARTS)
    assert 0.025 < (verdict - plot).min() < (verdict - plot).max() < 0.1
    for part in BY_PARTS:  # where nothing is learned
        assert np.abs(gate("at the start", "reset", part) - 0.5).max() < 0.03


def test_15_in_real_words_only_gates_that_start_near_1_are_near_1():
    for part in BY_PARTS:
        assert np.abs(gate("at the start", "update", part) - 0.5).max() < 0.03
        chrono = gate("at the start, chrono", "update", part)
        before = gate("at the start, chrono", "update", part, "before")
        assert np.abs(chrono - before).max() < 0.01
        assert chrono.min() > 0.96


def test_the_parts_of_a_review_are_told_by_the_length_of_its_verdict(monkeypatch):
    inside = np.arange(9) < np.array([[9], [6]])
    recorded = Recorded({}, None, Example(np.zeros((2, 9)), np.zeros(2)), inside)
    monkeypatch.setattr(verdict_gates, "verdict_lengths", lambda _: np.array([4, 5, 7]))
    for column, turns in (("end-2", (5, 1)), ("start-2", (4, 5))):
        config = {"task": {"text_column": column}}
        run = SimpleNamespace(settings=SimpleNamespace(config=config))
        found = verdict_gates.parts(run, recorded)
        for row, (turn, length) in enumerate(zip(turns, (9, 6), strict=True)):
            spans = {"first": range(turn), "last": range(turn, length)}
            plot, verdict = ("first", "last") if column == "end-2" else ("last", "first")
            assert np.flatnonzero(found["plot"][row]).tolist() == [*spans[plot]]
            assert np.flatnonzero(found["verdict"][row]).tolist() == [*spans[verdict]]
            words = [*range(turn, min(turn + 3, length))]
            assert np.flatnonzero(found["turn"][row]).tolist() == words


def test_a_review_is_drawn_with_all_its_words(tmp_path):
    """Also those that its tokens do not tell."""
    path = tmp_path / "reviews.jsonl"
    parts = ["train", "validation", "test"]
    texts = [f"Judge no. {i}: {'good' if i % 2 else 'bad'}, film {i}" for i in range(24)]
    rows = [
        {"label": "pn"[i % 2], "split": parts[i // 2 % 3], "end-2": text}
        for i, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"label_column": "label", "text_column": "end-2", "split_column": "split"}
    task = load_task("text", path=str(path), vocabulary=6, **columns)
    config = {"task": {"path": str(path), "text_column": "end-2"}}
    run = SimpleNamespace(settings=SimpleNamespace(config=config))
    held = task.held_out
    for example, (tokens, length) in enumerate(zip(held.inputs, held.lengths, strict=True)):
        words = words_of(verdict_gates.text_of(run, example))
        assert len(words) == length
        known = [(word, token) for word, token in zip(words, tokens, strict=False) if token > 1]
        assert known
        assert all(task.token_names[token] == word for word, token in known)
