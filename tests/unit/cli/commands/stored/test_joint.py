"""The joint view on the terminal: ranks by data set, and what is left out."""

from __future__ import annotations

from stored import some_images, write_run


def network(root, label, hits, *, suite, seeds=3):
    """Store a network with about these hits of 100 in a suite of its own data set."""
    recipe = {"dataset": {"name": suite}, "train": {"epochs": 2, "select": "last"}}
    for seed in range(seeds):
        matrices = some_images(hits, images=40, seed=seed, prefix=suite)
        write_run(root, label, seed, suite=suite, recipe=recipe, matrices=matrices)


def test_ranks_of_each_data_set_stand_beside_their_mean(tmp_path, segbench):
    for label, easy, hard in (("a", 95, 30), ("b", 90, 60)):
        network(tmp_path, label, easy, suite="easy")
        network(tmp_path, label, hard, suite="hard")
    network(tmp_path, "only", 80, suite="easy")
    answer = segbench("joint", tmp_path)
    assert answer.code == 0
    assert "1.5" in answer.out
    assert "only is left out: not in 'hard'" in answer.err
    rows = segbench("joint", tmp_path, "--json").json["rows"]
    assert sorted((row["label"], row["mean_rank"]) for row in rows) == [("a", 1.5), ("b", 1.5)]


def test_one_data_set_is_refused(tmp_path, segbench):
    network(tmp_path, "a", 95, suite="easy")
    answer = segbench("joint", tmp_path)
    assert answer.code == 2
    assert "needs two leaderboards" in answer.err
