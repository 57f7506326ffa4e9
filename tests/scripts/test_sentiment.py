"""What docs/text.md says of sentiment, and how its intervals and choices are made."""

import numpy as np
import pytest
from scipy import stats

from scripts.paper import published, results, sentiment
from tests.collected import ratings


def shown():
    """By variant, the mean over seeds on the test split and its interval."""
    return {
        variant: published.interval(sentiment.per_seed(each, "test"))
        for (_, variant), each in sentiment.chosen().items()
    }


def test_what_the_page_says_of_sentiment():
    counted, networks = sentiment.load()["found"], shown()
    pairs = counted["words and pairs of words"]["test"]
    assert max(mean for mean, _, _ in networks.values()) < pairs
    words = counted["words"]
    assert words["validation"] > counted["words and pairs of words"]["validation"]
    gated = ("gru", "gru_both", "gru_two", "lstm")
    means = [pairs, *(networks[name][0] for name in gated)]
    size = sentiment.load()["sizes"]["test"]
    assert size == 1060
    low, high = stats.binomtest(round(pairs * size), size).proportion_ci(method="wilson")
    assert max(means) - min(means) < 0.02 < (high - low) / 2
    for name in gated:
        assert words["test"] < networks[name][0]
    intervals = [networks[name][1:] for name in gated]
    assert max(low for low, _ in intervals) < min(high for _, high in intervals)
    for name in ("vanilla", "min_gru"):
        assert 0.02 < networks["lstm"][0] - networks[name][0] < 0.03
        assert networks[name][2] < min(low for low, _ in intervals)


def test_the_rate_is_chosen_by_validation(monkeypatch):
    row = lambda rate, right, tested: {
        "trial": f"sentiment-T60-gru-lr{rate}",
        "length": 60,
        "summary": {
            split: {"accuracy": {"per_seed": each}}
            for split, each in (("eval", right), ("test", tested))
        },
    }
    rows = [row("0.1", [0.9, 0.7], [0.1, 0.1]), row("0.2", [0.7, 0.8], [0.9, 0.9])]
    monkeypatch.setattr(results, "load", lambda _: [results.Result(each) for each in rows])
    (found,) = sentiment.chosen().values()
    assert sentiment.per_seed(found, "test") == [0.1, 0.1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_counts_of_words_learn_a_word_that_tells_the_label(tmp_path, monkeypatch):
    made = {"modified": False, "commit": "c" * 40, "python": "3", "packages": {}}
    monkeypatch.setattr(sentiment, "environment", lambda: made)
    monkeypatch.setattr(sentiment, "MEASURED", tmp_path / "found.json")
    assert sentiment.measure(str(ratings(tmp_path, 200))) == 0
    sentiment.load.cache_clear()
    found = sentiment.load()["found"]
    sentiment.load.cache_clear()
    assert found["words"]["test"] == found["words and pairs of words"]["validation"] == 1
    assert found["words and pairs of words"]["weights"] > found["words"]["weights"] > 100
    assert np.isclose(found["majority"]["test"], 0.5, atol=0.3)
