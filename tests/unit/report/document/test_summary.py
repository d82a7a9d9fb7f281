"""Claims about the sentence that opens a report: who leads, how sure that is, at what cost, and where not."""

from __future__ import annotations

import re

import pytest
from stored import some_images

from segbench.report.document.summary import Judged, verdict, verdicts
from segbench.report.ranking.ranking import rank
from segbench.report.ranking.tables import tables_of
from segbench.results.record import Outcome, Status


@pytest.fixture
def said(results):
    def said():
        ranking = rank(results)
        return verdict(tables_of(ranking.board)[0], ranking.pairs)

    return said


def test_a_clear_lead_in_several_trainings_is_said_to_be_one(train, said):
    train("best", 90, parameters=2_000_000)
    train("worst", 50, parameters=1_000)
    text = said()
    assert text.startswith("best is first with a mean IoU of 0.8")
    assert "(95 % interval 0." in text
    assert ") and leads every other network, over trainings and test images (Holm-adjusted p below 0.05)." in text
    assert " It has 2.00 M parameters; the smallest network, worst (1.00 k), has a mean IoU of 0." in text
    assert len(re.findall(r"\.(?= [A-Z]|$)", text)) == 2, "two sentences"


def test_a_lead_that_rests_on_the_variance_of_one_network_is_said_to(train, add, said):
    train("best", 90)
    add("worst", matrices=some_images(20))
    end = "(Holm-adjusted p below 0.05); one network alone had several trainings, so that this may be due to chance."
    assert end in said()


def test_a_leader_that_is_the_smallest_too_is_said_to_be(train, said):
    train("best", 90, parameters=1_000)
    train("worst", 50, parameters=2_000_000)
    assert said().endswith(" It has 1.00 k parameters, the fewest of all.")


def test_one_training_each_is_no_verdict_on_networks_and_says_what_to_run(add, said):
    add("best", matrices=some_images(90))
    add("worst", matrices=some_images(50))
    text = said()
    assert text.startswith("best has the highest mean IoU, 0.8")
    assert "(95 % interval of these weights over test images 0." in text
    assert "but each network was trained once: another seed may change the order." in text
    assert not re.search(r"\bp\b|chance|first|leads", text)


def test_rivals_that_only_chance_keeps_apart_are_named(add, train, said):
    for network in range(3):
        for seed in range(3):
            add(f"net{network}", seed=seed, matrices=some_images(75, seed=10 * network + seed))
    train("worst", 40)
    text = said()
    first = text.split(" ")[0]
    others = sorted({"net0", "net1", "net2"} - {first})
    assert "; it cannot be told apart from net" in text
    assert all(other in text for other in others)
    assert "from worst" not in text


def test_with_too_few_images_nothing_is_claimed(add, said):
    for seed in (0, 1):
        add("a", seed)
        add("b", seed, hits=50)
    assert "there are too few shared test images to compare it with the other networks." in said()


def test_networks_of_equal_scores_share_the_first_place(train, said):
    train("a", 60, parameters=1_000)
    train("b", 60, parameters=1_000)
    train("c", 40, parameters=500)
    text = said()
    assert text.startswith("a and b share the highest mean IoU, 0.4")
    assert ", so that none of them is first." in text
    assert " The smallest network, c (500), has a mean IoU of 0.2" in text
    assert not re.search(r"is first with|It has", text)


def test_networks_that_share_the_first_place_with_one_training_are_no_leaders(add, said):
    for label in ("a", "b"):
        add(label, matrices=some_images(60))
    assert said().startswith("a and b share the highest mean IoU, 0.4")
    assert "but each network was trained once: another seed may change the order." in said()


def test_a_leader_is_not_the_smallest_alone_where_another_is_as_small(train, said):
    train("best", 90, parameters=1_000)
    train("worst", 50, parameters=1_000)
    assert said().endswith(" It has 1.00 k parameters; no other network has fewer.")


def test_a_network_alone_is_not_first(train, said):
    train("a", 60)
    assert said().startswith("a has a mean IoU of 0.4")
    assert said().endswith("; there is no other network to compare it with.")


def test_a_network_alone_has_nothing_to_be_compared_with(add, said):
    add("a")
    assert "there is no other network" in said()


def test_measured_speed_names_the_front(add, measure, said):
    add("a", hits=90)
    measure("a", 0.1)
    add("b", hits=50, options={"width": 0.5})
    measure("b", 0.01, options={"width": 0.5})
    front = "no other network is both more accurate and faster than b (100 img/s) and a (10.0 img/s)."
    assert f"With these weights, {front}" in said()
    add("a", 1, hits=90)
    assert f"N{front[1:]}" in said()


def test_nothing_ranked_says_nothing(add, said):
    add("a", outcome=Outcome(status=Status.FAILED, reason="x"))
    assert said() == ""


def test_of_several_tables_each_verdict_says_what_it_is_of(add, results):
    def told():
        ranking = rank(results)
        return verdicts([Judged(table, ranking.runs, ranking.pairs) for table in tables_of(ranking.board)])

    add("a")
    assert [text.split(" has a")[0] for text in told()] == ["a"]
    add("b", test_digest="other")
    add("c", test_digest="other", outcome=Outcome(status=Status.FAILED, reason="x"))
    add("d", recipe={"train": {"epochs": 9}})
    (add("torn") / "run.json").write_text("{")
    protocols = [str(one)[:8] for one in dict.fromkeys(rank(results).board["protocol"].dropna())]
    assert [text.split(" has a")[0] for text in told()] == [
        f"Protocol {protocols[0]} · test data other: b",
        f"Protocol {protocols[0]} · test data test: a",
        f"Protocol {protocols[1]}: d",
    ]


@pytest.mark.parametrize(("several", "shrunk"), [(1, False), (2, False), (3, True), (4, True)])
def test_shrinking_is_told_where_variances_are_shrunk(train, add, results, several, shrunk):
    for number in range(4):
        matrices = {"matrices": some_images(60 + number)}
        train(f"net{number}", 60 + number) if number < several else add(f"net{number}", **matrices)
    assert ("shrunk over the networks" in tables_of(rank(results).board)[0].certainty) is shrunk
