"""What the coordinator before this one had measured, for the one that goes on with its run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from coordinator.profiling.device_profile import DeviceProfile
from coordinator.profiling.findings import Finding, Measured, ProbeFailed, ProbeServed, findings
from coordinator.profiling.survey import Survey
from runtime.letters import DeviceReport
from runtime.link_meter import Reading


def recalled(survey: Survey, events: Iterable[Mapping[str, Any]]) -> Survey:
    """Returns the survey with what the events of the run tell.

    Of a device that holds which was found in the life that was probed last; it counts when the
    device announces itself in that life. What real steps told is not recalled: new ones will.
    """
    for finding in findings(events):
        survey = _after(survey, finding)
    return survey


def _after(survey: Survey, finding: Finding) -> Survey:
    part = survey.surveyor.part(finding.device, finding.cut)
    if part is None:
        return survey  # the run went on with another fleet, or other cuts
    if isinstance(finding, ProbeServed):
        load = survey.surveyor.server_load(part)
        return attrs.evolve(survey, server=survey.server.with_probe(load, finding.server_s))
    device, profile = finding.device, DeviceProfile()
    if survey.lives.get(device) == finding.incarnation:
        profile = survey.profiles[device]
    match finding:
        case Measured():
            load, report = survey.surveyor.device_load(part), _report(finding)
            if report is None:
                return survey  # whoever wrote this believed what no board can have measured
            profile = profile.with_probe(finding.cut, load, report, _link(finding), 0.0)
        case ProbeFailed(reason=reason):
            profile = profile.with_refusal(finding.cut, reason)
    return attrs.evolve(
        survey,
        profiles={**survey.profiles, device: profile},
        lives={**survey.lives, device: finding.incarnation},
    )


def _report(found: Measured) -> DeviceReport | None:
    """Returns what the board told, None for figures that would be refused today."""
    try:
        return DeviceReport(
            forward_s=found.forward_s,
            backward_s=found.backward_s,
            downlink_bytes_per_s=found.downlink_bytes_per_s,
        )
    except ValueError:
        return None


def _link(found: Measured) -> Reading:
    return Reading(found.uplink_bytes_per_s, found.round_trip_s)
