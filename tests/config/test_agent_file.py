from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.config import AgentConfig
from runtime.config import load
from runtime.emulation_spec import Emulation
from runtime.errors import ConfigError

AGENT = """
[agent]
device = "pi-5"
fleet = "demo"
broker = "mqtt://user:secret@host:1883"
state_dir = "state"

[data]
source = "shard.npz"
augment = ["shift"]

[limits]
program_mb = 2
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def refused(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(path, AgentConfig)
    return caught.value


def test_an_agent_file_gives_its_value(tmp_path: Path) -> None:
    config = load(write(tmp_path, AGENT), AgentConfig)
    assert (config.agent.device, config.agent.fleet) == ("pi-5", "demo")
    assert config.agent.broker == "mqtt://user:secret@host:1883"
    assert (config.agent.threads, config.agent.keepalive_s) == (1, 10)
    assert (config.data.source, config.data.augment) == ("shard.npz", ("shift",))
    assert config.emulate == Emulation()


def test_limits_are_announced_in_bytes(tmp_path: Path) -> None:
    limits = load(write(tmp_path, AGENT), AgentConfig).limits.announced
    assert limits.program_bytes == 2_000_000
    assert limits.memory_bytes == 256_000_000


def test_rates_are_limits_of_the_courier_in_bytes(tmp_path: Path) -> None:
    courier = load(write(tmp_path, AGENT + "uplink_mbps = 0.5\n"), AgentConfig).limits.courier
    assert (courier.uplink_bytes_per_s, courier.downlink_bytes_per_s) == (62_500, None)


def test_a_board_that_limits_what_it_gets_is_sent_nothing_unasked(tmp_path: Path) -> None:
    free = load(write(tmp_path, AGENT), AgentConfig).limits.courier
    held = load(write(tmp_path, AGENT + "downlink_mbps = 3\n"), AgentConfig).limits.courier
    assert (free.takes_ahead, held.takes_ahead) == (True, False)


def test_a_link_without_rate_is_refused(tmp_path: Path) -> None:
    problem = refused(write(tmp_path, AGENT + "downlink_mbps = 0\n"))
    assert "limits.downlink_mbps" in str(problem)


def test_paths_start_at_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, AGENT)
    monkeypatch.chdir(tmp_path)
    config = load(Path("agent.toml"), AgentConfig)
    assert (config.agent.state_dir, config.base) == (tmp_path / "state", tmp_path)


@pytest.mark.parametrize("url", ["mqtts://host?ca=ca.pem", "unix:///run/b.sock", "mqtt://[::1]"])
def test_the_schemes_of_a_broker(tmp_path: Path, url: str) -> None:
    path = write(tmp_path, AGENT.replace("mqtt://user:secret@host:1883", url))
    assert load(path, AgentConfig).agent.broker == url


def test_a_wrong_broker_is_reported_without_its_password(tmp_path: Path) -> None:
    error = refused(write(tmp_path, AGENT.replace("mqtt://", "http://")))
    assert [problem.key for problem in error.problems] == ["agent.broker"]
    assert "secret" not in str(error)


def test_all_mistakes_are_reported(tmp_path: Path) -> None:
    text = """
    [agent]
    device = "Pi"
    fleet = ""
    state_dir = 1
    threads = 0
    [data]
    source = "shard"
    augment = ["shifd"]
    [limits]
    memory_mb = 0
    [emulate]
    step_s = -1
    """
    assert [problem.key for problem in refused(write(tmp_path, text)).problems] == [
        "agent.broker",
        "agent.state_dir",
        "agent.device",
        "agent.fleet",
        "agent.threads",
        "data.augment[0]",
        "data.source",
        "limits.memory_mb",
        "emulate.step_s",
    ]


def test_an_emulated_step_takes_three_forward_passes() -> None:
    assert Emulation(gflops=2).step_time_s(1e9) == 1.5
    assert Emulation(step_s=0.25).step_time_s(1e9) == 0.25
    assert Emulation().step_time_s(1e9) == 0.0
