"""Who stands for whom in a run in place."""

from __future__ import annotations

from pathlib import Path

from netprobe.model.flow import Flow
from netprobe.run.in_place_plan import cover
from netprobe.simulate import CALICO
from netprobe.suite import load
from tests.run.crowd import SUITE, crowd, only_ready, suite


def test_one_pod_represents_all_that_nothing_tells_apart() -> None:
    chosen = cover(crowd(), None, CALICO, only_ready)
    assert [len(kind.members) for kind in chosen.kinds] == [6, 6]
    web, db = (kind.first for kind in chosen.kinds)
    assert chosen.stands_for(web) == chosen.kinds[0].members
    assert chosen.keeps(Flow(web, db, 80))
    assert not chosen.keeps(Flow(chosen.kinds[0].members[3], db, 80))


def test_between_two_of_a_kind_there_is_one_row() -> None:
    chosen = cover(crowd(), None, CALICO, only_ready)
    reduced = chosen.reduced(crowd())
    kept = [
        flow
        for source in reduced.pods
        for destination in reduced.pods
        if source != destination and chosen.keeps(flow := Flow(source, destination, 80))
    ]
    assert len(kept) == 4, "web -> web, web -> db, db -> web, db -> db"


def test_a_row_of_the_suite_tells_pods_apart_that_policies_do_not(tmp_path: Path) -> None:
    text = SUITE.replace("{default: allow}", "{flows: [{from: shop/web-0, to: shop/db-1, verdict: allow}]}")
    expectation = load(suite(tmp_path, text)).expectation
    chosen = cover(crowd(), expectation, CALICO, only_ready)
    assert sorted(len(kind.members) for kind in chosen.kinds) == [1, 1, 5, 5]


def test_a_sample_is_drawn_next_to_them_and_again_by_its_seed() -> None:
    chosen = cover(crowd(), None, CALICO, only_ready, sample=3, seed=7)
    assert len(chosen.sampled) == 3
    assert chosen.sampled == cover(crowd(), None, CALICO, only_ready, sample=3, seed=7).sampled
    assert chosen.sampled != cover(crowd(), None, CALICO, only_ready, sample=3, seed=8).sampled
    assert not {kind.first for kind in chosen.kinds} & set(chosen.sampled)
    assert chosen.keeps(Flow(chosen.sampled[0], chosen.kinds[1].first, 80))
    output = chosen.sentence([chosen.kinds[0].first, chosen.sampled[0]])
    assert "drawn at random (--seed 7)" in output


def test_thousands_of_pods_come_to_a_handful_of_rows(tmp_path: Path) -> None:
    cluster = crowd(5_000)
    chosen = cover(cluster, None, CALICO, only_ready, sample=5)
    declared = load(suite(tmp_path)).moments(chosen.reduced(cluster))[0].declared
    kept = [flow for flow in declared if chosen.keeps(flow)]
    assert len(chosen.kinds) == 2
    assert len(kept) < 60
