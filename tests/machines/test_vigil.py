"""Leases and pulses, second by second."""

from __future__ import annotations

import math

import pytest

from runtime.ids import DeviceId
from runtime.vigil import UNHURRIED, Rhythm, Vigil

ONE, TWO = DeviceId("board-1"), DeviceId("board-2")
RHYTHM = Rhythm(pulse_s=1.5, lease_s=4.0, look_s=1.0)


def watching(*peers: DeviceId) -> Vigil:
    vigil = Vigil(RHYTHM)
    vigil.up(0.0)
    for peer in peers:
        vigil.watch(peer, 0.0)
    return vigil


def looks(vigil: Vigil, until_s: float) -> dict[DeviceId, float]:
    """Returns when each peer fell silent, looking as often as asked to."""
    found = {}
    while (at_s := vigil.deadline()) <= until_s:
        found.update(dict.fromkeys(vigil.look(at_s), at_s))
        if vigil.must_pulse(at_s):
            vigil.spoke(at_s)
    return found


def test_silence_shows_in_time_and_once() -> None:
    vigil = watching(ONE, TWO)
    vigil.heard(ONE, 2.5)
    assert looks(vigil, 20.0) == {TWO: 4.0, ONE: 7.0}


def test_the_first_byte_after_a_silence_is_news() -> None:
    vigil = watching(ONE)
    assert not vigil.heard(ONE, 1.0)
    looks(vigil, 10.0)
    assert vigil.heard(ONE, 10.5)
    assert not vigil.heard(ONE, 10.6)
    assert looks(vigil, 20.0) == {ONE: 15.0}


def test_strangers_have_no_lease() -> None:
    vigil = watching(ONE)
    assert not vigil.heard(TWO, 1.0)
    assert looks(vigil, 20.0) == {ONE: 4.0}
    vigil.forget(ONE)
    assert vigil.deadline() == math.inf


def test_who_could_not_listen_blames_nobody() -> None:
    vigil = watching(ONE)
    assert vigil.look(9.0) == [], "eight seconds late: what came meanwhile was not read yet"
    assert looks(vigil, 30.0) == {ONE: 12.0}


def test_who_comes_first_after_a_while_has_no_longer_a_lease_than_others() -> None:
    vigil = watching()
    vigil.watch(ONE, 19.5)
    assert looks(vigil, 40.0) == {ONE: 23.5}


def test_while_our_own_link_is_down_nobody_is_silent() -> None:
    vigil = watching(ONE)
    vigil.down()
    assert vigil.deadline() == math.inf
    vigil.up(100.0)
    assert looks(vigil, 200.0) == {ONE: 104.0}


@pytest.mark.parametrize("spoke_at_s", [0.0, 0.7, 1.4])
def test_a_pulse_is_due_after_a_time_without_a_word(spoke_at_s: float) -> None:
    vigil = watching(ONE)
    vigil.spoke(spoke_at_s)
    assert not vigil.must_pulse(spoke_at_s + 1.4)
    assert vigil.must_pulse(spoke_at_s + 1.5)


def test_nobody_pulses_for_nobody() -> None:
    assert not watching().must_pulse(10.0)


def test_the_unhurried_never_wake() -> None:
    vigil = Vigil(UNHURRIED)
    vigil.up(0.0)
    vigil.watch(ONE, 0.0)
    assert vigil.deadline() == math.inf
