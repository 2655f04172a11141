"""Where the time of a round went, as the coordinator's clock saw it."""

from __future__ import annotations

import attrs
import pytest

from coordinator.watch import MeasuredTerms, Watch, measured_terms
from tests.simulation.stages import JOB, board, perform


def watched() -> Watch:
    """Two steps of 0.2 s up, 0.1 s on the server; layer state takes 0.5 s down and 0.4 s up."""
    watch = Watch().ordered(11.0)
    watch = watch.stepped(0.2, 12.0).served(12.1)
    watch = watch.stepped(0.2, 13.5).served(13.6)
    return watch.came_home(0.4, 15.0)


def reckoned(worked_s: float = 0.15, round_trip_s: float = 0.0) -> MeasuredTerms:
    return measured_terms(
        watched(),
        began_s=10.0,
        returned_at_s=15.1,
        compute_s=(0.6, 1.2),
        worked_s=worked_s,
        round_trip_s=round_trip_s,
    )


def test_terms_are_what_was_seen_and_what_is_left() -> None:
    terms = attrs.asdict(reckoned())
    assert terms == pytest.approx(
        {
            "opening_s": 1.0,
            "state_down_s": 0.5,
            "forward_s": 0.6,
            "upload_s": 0.4,
            "queue_s": 0.05,
            "server_s": 0.15,
            "download_s": 5.1 - 1.0 - 0.5 - 0.6 - 0.4 - 0.2 - 1.2 - 0.5,
            "backward_s": 1.2,
            "state_up_s": 0.5,
        }
    )
    assert sum(terms.values()) == pytest.approx(5.1)


def test_an_offer_is_half_a_round_trip_old_when_it_comes() -> None:
    near, far = reckoned(), reckoned(round_trip_s=0.1)
    assert far.upload_s - near.upload_s == pytest.approx(2 * 0.05)
    assert near.state_down_s - far.state_down_s == pytest.approx(0.05)
    assert far.state_up_s - near.state_up_s == pytest.approx(0.05)
    assert sum(attrs.asdict(far).values()) == pytest.approx(5.1)


def test_work_that_nobody_times_holds_the_queue() -> None:
    terms = reckoned(worked_s=0.0)
    assert terms.queue_s == 0.0
    assert terms.server_s == pytest.approx(0.2)


def test_a_device_that_sends_no_step_has_no_upload() -> None:
    watch = Watch().ordered(11.0).came_home(0.4, 15.0)
    terms = measured_terms(
        watch, began_s=10.0, returned_at_s=15.0, compute_s=(1.0, 2.0), worked_s=0.0
    )
    assert (terms.upload_s, terms.server_s, terms.state_down_s) == (0.0, 0.0, 0.0)
    assert sum(attrs.asdict(terms).values()) == pytest.approx(5.0)


def test_a_simulated_round_is_measured_as_it_was() -> None:
    device = board("one", up=8, down=16, step_s=0.06)
    done = perform([device])
    part, steps = done.rounds[1]["devices"]["one"], JOB.training.local_steps
    terms = part["terms"]
    assert terms["forward_s"] + terms["backward_s"] == pytest.approx(steps * 0.06)
    assert terms["server_s"] == pytest.approx(done.term("one", "server_s"))
    assert terms["queue_s"] == pytest.approx(0.0, abs=1e-9)
    # Up at half the rate of down, and labels beside as many activations as gradients.
    assert terms["upload_s"] == pytest.approx(2 * terms["download_s"], rel=0.05)
    assert sum(terms.values()) == pytest.approx(part["duration_s"])
    assert done.rounds[1]["closing_s"] == done.duration_s() - part["duration_s"]
