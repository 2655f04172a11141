"""An agent as an operating-system process: the machine on the wall clock, MQTT and onnxruntime."""

from __future__ import annotations

import json
import logging
from typing import Any

import onnxruntime

from device_agent.config import AgentConfig
from device_agent.machine import AgentState, react
from device_agent.memory import limit_memory
from device_agent.program_cache import ProgramCache
from device_agent.stopwatch import Slowdown
from device_agent.tasks import Backward, Begin, Finish, Forward, StoreProgram
from device_agent.training import DeviceExecutor
from runtime.broker_url import BrokerUrl
from runtime.clock import Clock, WallClock
from runtime.codecs import CODECS
from runtime.dataset import open_source
from runtime.ending import Ending, obey_signals
from runtime.errors import BrokerError
from runtime.executor import ThreadWorker
from runtime.exits import Exit
from runtime.guarded import Guarded
from runtime.host import Host
from runtime.ids import DeviceId
from runtime.incarnation import next_incarnation
from runtime.letters import ANSWERED
from runtime.optimisers import OPTIMISERS
from runtime.parent_watch import end_with_parent
from runtime.party import Party
from runtime.presence import DevicePresence
from runtime.program import OPSET
from runtime.topics import Fleet
from runtime.transfers.courier import Courier
from runtime.transport.base import Transport
from runtime.transport.emulated import EmulatedTransport
from runtime.transport.link_model import Line, Link
from runtime.transport.mqtt import MqttTransport
from runtime.wire import encode_json

_log = logging.getLogger("edgesplit.agent")
_FROM_THE_COORDINATOR = (StoreProgram, Begin, Forward, Backward, Finish)


class LogRecords:
    """An agent keeps no record but its log: nothing is written to flash for it."""

    def append(self, stream: str, entry: dict[str, Any]) -> None:
        _log.info("%s", json.dumps(entry))


def run_agent(config: AgentConfig, *, with_parent: bool = False) -> Exit:
    """Runs an agent until it is asked to stop (SIGTERM, Ctrl-C) or superseded.

    Raises EdgeSplitError for whatever keeps it from starting.
    """
    slowdown = Slowdown()
    birth, executor = _prepare(config, slowdown)
    clock = WallClock()
    ending = Ending(clock)
    device = DeviceId(config.agent.device)
    courier = Courier(config.limits.courier, ANSWERED)
    state = AgentState(birth, leave_within_s=config.agent.leave_within_s)
    party = Party(react, state, Fleet(config.agent.fleet), device, courier)
    host = Host(
        party,
        transport=_transport(config, clock),
        clock=clock,
        records=LogRecords(),
        make_worker=lambda tell: ThreadWorker(
            Guarded(executor, _FROM_THE_COORDINATOR), tell, ending.defect
        ),
        ended=ending,
    )
    obey_signals(host.ask_to_stop)
    if with_parent:
        end_with_parent(host.ask_to_stop, slowdown.hear)
    limit_memory(config.limits.announced)
    host.start(encode_json(DevicePresence(device, birth.incarnation, "lost")))
    clock.run()
    _log.info("ended: %s", ending.halt.reason)
    return ending.halt.code


def _prepare(config: AgentConfig, slowdown: Slowdown) -> tuple[DevicePresence, DeviceExecutor]:
    device = DeviceId(config.agent.device)
    limits = config.emulate.within(config.limits.announced)
    dataset = open_source(config.data.source, config.base)
    executor = DeviceExecutor(
        device,
        dataset,
        ProgramCache(config.agent.state_dir / "programs", limits),
        augmentations=config.data.augment,
        threads=config.agent.threads,
        emulation=config.emulate,
        slowdown=slowdown,
    )
    birth = DevicePresence(
        device,
        next_incarnation(config.agent.state_dir),
        "online",
        samples=len(dataset),
        onnxruntime=onnxruntime.__version__,
        opset=OPSET,
        codecs=tuple(CODECS),
        optimisers=OPTIMISERS,
        limits=limits,
    )
    return birth, executor


def _transport(config: AgentConfig, clock: Clock) -> Transport:
    try:
        url = BrokerUrl.parse(config.agent.broker, config.base)
    except ValueError as error:
        raise BrokerError(f"[agent] broker: {error}") from error
    client_id = f"edgesplit-{config.agent.fleet}-{config.agent.device}"
    transport = MqttTransport(
        url,
        client_id,
        keepalive_s=config.agent.keepalive_s,
        uplink_limit_bytes_per_s=config.limits.courier.uplink_bytes_per_s,
    )
    rates = config.emulate.rates
    if rates == (None, None):
        return transport
    up, down = (Line() if rate is None else Line(((0.0, rate),)) for rate in rates)
    return EmulatedTransport(transport, Link(up, down), clock)
