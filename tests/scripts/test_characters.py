"""What docs/text.md says of a model of characters."""

from scripts.paper import characters


def test_a_carried_state_makes_hardly_a_difference():
    carried, reset, *_ = (run["summary"] for run in characters.load()["runs"].values())
    for split in ("eval", "test"):
        gain = reset[split]["loss"]["mean"] - carried[split]["loss"]["mean"]
        assert 0 < gain < 0.03
        assert carried[split]["loss"]["mean"] < 2 < carried["baseline_loss"] - 2


def test_the_text_is_what_the_command_under_it_writes():
    text = characters.load()["text"]
    assert text.startswith(characters.PROMPT)
    assert len(text.encode()) == len(characters.PROMPT) + characters.LENGTH
    table = characters.table()
    assert text.strip() in table
    assert f"--prompt='{characters.PROMPT}' --length={characters.LENGTH}" in table
    assert [*characters.RUNS] == [*characters.load()["runs"]]
