"""Records of rounds as a coordinator writes them, with the figures that a test cares about."""

from __future__ import annotations

from typing import Any

TERMS = (
    "opening_s",
    "state_down_s",
    "forward_s",
    "upload_s",
    "queue_s",
    "server_s",
    "download_s",
    "backward_s",
    "state_up_s",
)


def part(up_bytes: int = 0, down_bytes: int = 0, **other: Any) -> dict[str, Any]:
    """One device's part of a round."""
    return {
        "cut": "block1",
        "codec_up": "int8",
        "codec_down": "int8",
        "attempt": 1,
        "steps": 20,
        "samples": 64,
        "train_loss": 0.5,
        "duration_s": 1.5,
        "up_bytes": up_bytes,
        "down_bytes": down_bytes,
        "peak_rss_bytes": 90_000_000,
        "pss_bytes": 50_000_000,
        "step": {"p50_s": 0.02, "p90_s": 0.03, "max_s": 0.2},
        "overruns": 0,
        "terms": {name: 0.1 + number / 60 for number, name in enumerate(TERMS)},
        **other,
    }


def closed(round: int, devices: dict[str, dict[str, Any]], **other: Any) -> dict[str, Any]:
    """The entry of a closed round."""
    return {
        "round": round,
        "accuracy": 0.5 + round / 100,
        "loss": 1.0 / round,
        "train_loss": 1.2 / round,
        "samples": sum(one["samples"] for one in devices.values()),
        "duration_s": 2.0,
        "closing_s": 0.5,
        "weights_sha256": f"{round:064x}",
        "devices": devices,
        **other,
    }
