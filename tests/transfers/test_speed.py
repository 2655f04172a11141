"""Links are used well: rates are found, caps are held, control is never stuck behind bulk."""

from __future__ import annotations

from collections import Counter

import pytest

from runtime.ids import COORDINATOR
from runtime.transfers.courier import CourierLimits
from runtime.transfers.pacer import Pacer
from tests.transfers.line import Line, Link
from tests.transfers.test_delivery import BOARD, MB, bulk

WIDE = CourierLimits(budget_bytes=64 * MB)


class TestRate:
    @pytest.mark.parametrize("rtt_s", [0.0, 0.02, 0.2])
    @pytest.mark.parametrize("bytes_per_s", [64e3, 1e6, 10e6, 100e6])
    def test_a_link_is_filled_and_not_flooded(self, bytes_per_s: float, rtt_s: float) -> None:
        """After a quarter of the letter at least 80 % of the link are used."""
        line = Line(limits=WIDE, up=Link(bytes_per_s, rtt_s), down=Link(bytes_per_s, rtt_s))
        size_bytes = int(max(MB, min(100 * MB, 10 * bytes_per_s)))
        line.post(BOARD, "up", bulk(size_bytes))
        while line.hub.courier.held_bytes < size_bytes / 4:
            line.clock.step()
        began_s, begun_bytes = line.now, line.hub.courier.held_bytes
        line.most_granted_bytes = 0
        line.run(1)
        rate = (size_bytes - begun_bytes) / (line.now - began_s)
        assert rate > 0.8 * bytes_per_s
        assert line.most_granted_bytes <= max(33_000, 0.7 * bytes_per_s)

    def test_25_mb_at_10_mb_per_s_take_hardly_longer_than_they_must(self) -> None:
        line = Line(up=Link(10e6, 0.02))
        line.post(BOARD, "up", bulk(25 * MB))
        line.run(1)
        assert line.now < 1.25 * 2.5
        assert line.sent_bytes[BOARD] < 1.01 * 25 * MB
        assert line.log["grant"] <= 1.2 * line.log["chunk"]
        assert line.log["receipt"] == line.log["offer"] == 1

    def test_a_slow_link_is_not_asked_twice(self) -> None:
        line = Line(up=Link(64e3, 0.1))
        line.post(BOARD, "up", bulk(MB))
        line.run(1)
        assert line.now < 1.25 * MB / 64e3
        assert line.sent_bytes[BOARD] < 1.02 * MB


class TestControl:
    @pytest.mark.parametrize("letters", [1, 5, 20])
    def test_a_small_letter_is_not_stuck_behind_bulk(self, letters: int) -> None:
        line = Line(up=Link(10e6, 0.02))
        for _ in range(letters):
            line.post(BOARD, "bulk", bulk(25 * MB))
        line.run_until(1.0)
        line.post(BOARD, "control", b"now")
        line.run(1)
        assert line.delivered[0].kind == "control"
        assert line.now < 1.6


class TestCaps:
    @pytest.mark.parametrize("bytes_per_s", [50e3, 1e6, 4e6])
    @pytest.mark.parametrize("way", ["uplink", "downlink"])
    def test_a_cap_is_held_and_used(self, way: str, bytes_per_s: float) -> None:
        """Within 5 %, over twenty seconds."""
        caps = {f"{way}_bytes_per_s": bytes_per_s}
        line = Line(limits=CourierLimits(**caps), up=Link(100e6))  # type: ignore[arg-type]
        size_bytes = int(20 * bytes_per_s)
        line.post(BOARD, "up", bulk(size_bytes))
        line.run(1)
        assert line.now == pytest.approx(20.0, rel=0.05)

    @pytest.mark.parametrize("rtt_s", [0.02, 0.1, 0.2])
    def test_a_cap_is_used_over_a_long_way(self, rtt_s: float) -> None:
        """Offer, grant and receipt travel, and what the bucket lets through is sent meanwhile."""
        capped = CourierLimits(uplink_bytes_per_s=1.25e6)
        line = Line(board_limits=capped, up=Link(100e6, rtt_s), down=Link(100e6, rtt_s))
        line.post(BOARD, "first", bulk(300_000))
        line.settle()
        began_s = line.now
        line.post(BOARD, "second", bulk(300_000, 1))
        line.run(2)
        assert line.now - began_s < 0.3 + 2 * rtt_s

    def test_a_pacer_saves_up_no_more_than_a_burst(self) -> None:
        pacer = Pacer(1000.0)
        pacer.spend(0, 100.0)
        for _ in range(200):
            pacer.spend(10, 100.0)
        assert pacer.ready_at(100.0) == pytest.approx(100.0 + (2000 - 75) / 1000)
        assert pacer.ready_at(200.0) == 200.0

    def test_a_pacer_needs_a_rate(self) -> None:
        with pytest.raises(ValueError, match="above zero"):
            Pacer(0.0)


class TestSharing:
    def test_uplink_credit_divides_by_weight_where_the_budget_is_short(self) -> None:
        line = Line(4, limits=CourierLimits(budget_bytes=MB), up=Link(10e6, 0.02))
        for name, weight in zip(line.names, (1.0, 2.0, 3.0, 4.0), strict=True):
            line.hub.courier.weigh(name, weight)
            line.post(name, "up", bulk(40 * MB))
        line.run_until(1.0)
        before = dict(line.sent_bytes)
        line.run_until(9.0)
        sent = [line.sent_bytes[name] - before[name] for name in line.names]
        assert [one / sum(sent) for one in sent] == pytest.approx([0.1, 0.2, 0.3, 0.4], rel=0.1)

    def test_downlink_chunks_divide_by_weight(self) -> None:
        down = Link(10e6, 0.02)
        line = Line(4, down=down)
        for name, weight in zip(line.names, (1.0, 2.0, 3.0, 4.0), strict=True):
            line.hub.courier.weigh(name, weight)
            line.post(COORDINATOR, "order", bulk(20 * MB), name)
        shares: list[list[float]] = []
        for at_s in (1.0, 4.0):
            line.run_until(at_s)
            shares.append([line.parties[name].courier.held_bytes for name in line.names])
        came = [after - before for before, after in zip(*shares, strict=True)]
        assert [one / sum(came) for one in came] == pytest.approx([0.1, 0.2, 0.3, 0.4], rel=0.1)

    @pytest.mark.parametrize("way", ["up", "down"])
    @pytest.mark.parametrize("weight", [1.0, 3.0, 9.0])
    @pytest.mark.parametrize("bytes_per_s", [200e3, 1e6, 5e6])
    def test_weights_count_on_a_link_whose_rate_nobody_told(
        self, way: str, bytes_per_s: float, weight: float
    ) -> None:
        line = Line(2)
        line.links[way] = Link(bytes_per_s, 0.02)
        for name, one in zip(line.names, (1.0, weight), strict=True):
            line.hub.courier.weigh(name, one)
            for index in range(int(20 * max(bytes_per_s, MB) / MB)):
                sender, to = (name, COORDINATOR) if way == "up" else (COORDINATOR, name)
                line.post(sender, str(name), bulk(MB, index), to)
        line.run_until(5.0)
        before = _came(line, way)
        line.run_until(15.0)
        came = [now - then for now, then in zip(_came(line, way), before, strict=True)]
        assert sum(came) > 0.9 * 10.0 * bytes_per_s
        assert came[0] / sum(came) == pytest.approx(1 / (1 + weight), rel=0.1)

    @pytest.mark.parametrize("weight", [1.0, 9.0])
    @pytest.mark.parametrize("bytes_per_s", [200e3, 1e6, 5e6])
    def test_who_comes_later_has_its_share_as_well(self, bytes_per_s: float, weight: float) -> None:
        line = Line(2, up=Link(bytes_per_s, 0.02))
        line.hub.courier.weigh(line.names[1], weight)
        for name, at_s in zip(line.names, (0.0, 3.0), strict=True):
            line.run_until(at_s)
            for index in range(int(20 * max(bytes_per_s, MB) / MB)):
                line.post(name, str(name), bulk(MB, index))
        line.run_until(6.0)
        before = _came(line, "up")
        line.run_until(16.0)
        came = [now - then for now, then in zip(_came(line, "up"), before, strict=True)]
        assert came[0] / sum(came) == pytest.approx(1 / (1 + weight), rel=0.1)

    @pytest.mark.parametrize("weight", [1.0, 3.0, 9.0])
    @pytest.mark.parametrize("rtt_s", [0.002, 0.02, 0.1])
    def test_weights_hold_nobody_back_on_a_link_of_its_own(
        self, rtt_s: float, weight: float
    ) -> None:
        line = Line(2)
        links = Link(2e6, rtt_s), Link(2e5, rtt_s)
        for name, link, one in zip(line.names, links, (1.0, weight), strict=True):
            line.own[name] = link
            line.hub.courier.weigh(name, one)
        assert _came_in_10_s(line) == pytest.approx([20e6, 2e6], rel=0.05)

    def test_a_lost_peer_holds_nobody_back(self) -> None:
        """Though its letter is half there, and it is asked for the rest again and again."""
        line = Line(3)
        for name, weight in zip(line.names, (9.0, 1.0, 1.0), strict=True):
            line.own[name] = Link(1e6, 0.02)
            line.hub.courier.weigh(name, weight)
        line.post(line.names[0], "lost", bulk(MB))
        line.run_until(0.5)
        line.interrupt(line.names[0], 1e6)
        assert _came_in_10_s(line)[1:] == pytest.approx([1e7, 1e7], rel=0.05)

    def test_who_is_left_alone_has_the_link(self) -> None:
        line = Line(2, up=Link(1e6, 0.02))
        for name, weight in zip(line.names, (1.0, 9.0), strict=True):
            line.hub.courier.weigh(name, weight)
        line.post(line.names[1], "heavy", bulk(4 * MB))
        line.post(line.names[0], "light", bulk(5 * MB))
        line.run(2)
        assert [one.kind for one in line.delivered] == ["heavy", "light"]
        assert line.delivered[0].at_s == pytest.approx(4 * MB / 0.9e6, rel=0.1)
        assert line.now < 1.1 * 9 * MB / 1e6

    @pytest.mark.parametrize("way", ["up", "down"])
    def test_weights_count_after_a_stall_where_the_rate_is_known(self, way: str) -> None:
        """Whatever waits in the link waits there for its turn."""
        limits = CourierLimits(uplink_bytes_per_s=1e6, downlink_bytes_per_s=1e6)
        line = Line(2, limits=limits, board_limits=CourierLimits())
        line.links = {"up": Link(1e6, 0.02), "down": Link(1e6, 0.02)}
        for name, weight in zip(line.names, (1.0, 9.0), strict=True):
            line.hub.courier.weigh(name, weight)
            for index in range(16):
                sender, to = (name, COORDINATOR) if way == "up" else (COORDINATOR, name)
                line.post(sender, str(name), bulk(MB, index), to)
        line.run_until(1.0)
        line.links[way].free_at_s += 0.6
        line.run_until(3.0)
        before = _came(line, way)
        line.run_until(13.0)
        came = [now - then for now, then in zip(_came(line, way), before, strict=True)]
        assert came[1] / sum(came) == pytest.approx(0.9, abs=0.01)


def _came_in_10_s(line: Line) -> list[int]:
    """Returns the bytes from each device from the fifth second on, all of them backlogged."""
    for name in line.names:
        for index in range(40):
            line.post(name, str(name), bulk(MB, index))
    line.run_until(line.now + 5.0)
    before = _came(line, "up")
    line.run_until(line.now + 10.0)
    return [now - then for now, then in zip(_came(line, "up"), before, strict=True)]


def _came(line: Line, way: str) -> list[int]:
    """Returns the bytes that have come by device, of whole letters and of the one under way."""
    if way == "up":
        return [line.sent_bytes[name] for name in line.names]
    whole = Counter(one.kind for one in line.delivered)
    held = [line.parties[name].courier.held_bytes for name in line.names]
    return [MB * whole[str(name)] + part for name, part in zip(line.names, held, strict=True)]
