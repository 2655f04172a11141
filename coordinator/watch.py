"""What the coordinator's clock sees of a device's attempt, and where the time went."""

from __future__ import annotations

from attrs import frozen

from runtime.evolution import evolve


@frozen(slots=False)
class Watch:
    """Times of day and sums over the steps, in seconds.

    A letter's time is that from its offer to its last byte; small letters take none.
    """

    ordered_at_s: float = 0.0
    stepped_at_s: float = 0.0
    first_at_s: float = 0.0
    """When the first step was whole."""
    first_upload_s: float = 0.0
    uploads_s: float = 0.0
    served_s: float = 0.0
    """From steps that were whole to their gradients: the server's queue and its work."""
    steps: int = 0
    home_at_s: float = 0.0
    state_up_s: float = 0.0

    def ordered(self, now: float) -> Watch:
        """Returns the watch when the order is sent."""
        return evolve(self, ordered_at_s=now)

    def stepped(self, letter_s: float, now: float) -> Watch:
        """Returns the watch when a micro-batch has come."""
        watch = evolve(self, stepped_at_s=now, uploads_s=self.uploads_s + letter_s)
        return watch if self.steps else evolve(watch, first_at_s=now, first_upload_s=letter_s)

    def served(self, now: float) -> Watch:
        """Returns the watch when the gradient of a micro-batch is sent."""
        served_s = self.served_s + now - self.stepped_at_s
        return evolve(self, served_s=served_s, steps=self.steps + 1)

    def came_home(self, letter_s: float, now: float) -> Watch:
        """Returns the watch when the trained layer state is here."""
        return evolve(self, home_at_s=now, state_up_s=letter_s)


@frozen
class MeasuredTerms:
    """Where the time of a device's round went, in seconds, in the order it was spent.

    `opening_s` is what all devices wait for: compiling, and an order of their own. Steps are
    summed up. `queue_s` is 0, and part of `server_s`, where nobody times the server's work.
    """

    opening_s: float
    state_down_s: float
    forward_s: float
    upload_s: float
    queue_s: float
    server_s: float
    download_s: float
    backward_s: float
    state_up_s: float


def measured_terms(
    watch: Watch,
    *,
    began_s: float,
    returned_at_s: float,
    compute_s: tuple[float, float],
    worked_s: float,
    round_trip_s: float = 0.0,
) -> MeasuredTerms:
    """Returns the terms of an attempt in a round that began at `began_s`.

    `compute_s` is what the device says of forward and backward, all steps together, `worked_s`
    the server's work for it. An offer is half a round trip old when it comes. What nobody sees is
    the way down: in the steps it is what is left.
    """
    forward_s, backward_s = compute_s
    steps, offer_s = watch.steps, round_trip_s / 2
    begun_s = max(watch.ordered_at_s, began_s)
    before_s = watch.first_upload_s + offer_s + forward_s / max(1, steps)
    state_down_s = max(0.0, watch.first_at_s - begun_s - before_s) if steps else 0.0
    state_up_s = watch.state_up_s + offer_s + max(0.0, returned_at_s - watch.home_at_s)
    upload_s = watch.uploads_s + steps * offer_s
    server_s = worked_s or watch.served_s
    known_s = state_down_s + forward_s + upload_s + watch.served_s + backward_s + state_up_s
    return MeasuredTerms(
        opening_s=begun_s - began_s,
        state_down_s=state_down_s,
        forward_s=forward_s,
        upload_s=upload_s,
        queue_s=max(0.0, watch.served_s - server_s),
        server_s=server_s,
        download_s=max(0.0, returned_at_s - begun_s - known_s),
        backward_s=backward_s,
        state_up_s=state_up_s,
    )
