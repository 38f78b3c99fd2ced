"""The report of a calibration session: one self-contained HTML page made from the files of its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calibration.finding import Finding, Limit
from calibration.profile import Profile, load_profile
from calibration.step_record import StepRecord, read_records
from radio.errors import InputError
from radio.figure import Plot, page
from radio.recording import write_bytes
from radio.wording import ABSENT, duration, flat, minus

NAME = "report.html"
ORDER = {"fail": 0, "warn": 1, "unknown": 2, "pass": 3}


@dataclass(frozen=True)
class Row:
    """A finding as text."""

    step: str
    subject: str
    quantity: str
    value: str
    limit: str
    verdict: str
    advice: str


def row_of(finding: Finding) -> Row:
    return Row(
        finding.step.replace("_", " "),
        finding.subject,
        finding.quantity,
        ABSENT if finding.estimate is None else minus(str(finding.estimate)),
        minus(str(finding.limit or Limit())),
        finding.verdict,
        finding.advice,
    )


@dataclass(frozen=True)
class Part:
    """One step of the page."""

    name: str
    about: str
    verdict: str
    radio: str
    rows: list[Row]
    plots: tuple[Plot, ...]
    capture: str
    facts: list[tuple[str, str]]


def write_report(session: Path) -> Path:
    """Write `report.html` into a session's folder and return its path. InputError where there is no session, or no room."""
    target = session / NAME
    text = render(load_profile(session), read_records(session))
    try:
        write_bytes(target, text.encode())
    except OSError as problem:
        raise InputError(f"cannot write {target}: {problem.strerror}; free some space") from None
    return target


def render(profile: Profile, records: dict[str, StepRecord]) -> str:
    """The page as text; without records (a profile that was carried away alone) without pictures."""
    findings = profile.findings
    names = list(records) or list(dict.fromkeys(finding.step for finding in findings))
    own = [finding for finding in findings if finding.step not in names]
    counts = {word: sum(finding.verdict == word for finding in findings) for word in ORDER}
    trouble = sorted(
        (row_of(finding) for finding in findings if finding.verdict != "pass"), key=lambda row: ORDER[row.verdict]
    )
    return page(
        Path(__file__).parent,
        "report.html.j2",
        profile=profile,
        sentence=sentence(profile),
        tiles=tiles(profile),
        counts=counts,
        trouble=trouble,
        own=[row_of(finding) for finding in own],
        parts=[_part(name, records.get(name), profile) for name in names],
        made=f"{profile.made:%Y-%m-%d %H:%M} UTC",
        radio=duration(profile.radio_s),
        settings=[
            f"{key}={value}"
            for key, value in (profile.recommendation.settings if profile.recommendation else {}).items()
        ],
        radios=_radios(profile),
        bound=flat(profile.settings),
    )


def sentence(profile: Profile) -> str:
    """The session in words."""
    many = len(profile.device)
    where = "on the simulated air" if profile.air == "loopback" else f"at {profile.lo_hz / 1e6:g} MHz"
    clock = "one reference clock" if profile.clock == "shared" else "clocks of their own"
    if any(one.verdict == "fail" and "clock" in one.quantity for one in profile.findings):
        clock = "one reference clock by the station file, which is not so,"
    said = (
        f"{many} device{'s' * (many != 1)} with {clock} {where}, measured in {duration(profile.radio_s)} of radio time."
    )
    advised = profile.recommendation
    if advised is None:
        return f"{said} Nothing can be recommended: no mode has carried a known sum."
    return (
        f"{said} Recommended: {advised.mode} mode with a window of {advised.window:,} samples, which leaves an rms error of "
        f"{100 * advised.expected_error:.2g}\u00a0% of full scale on the sum."
    )


def tiles(profile: Profile) -> list[dict[str, str]]:
    advised = profile.recommendation
    verdicts = [finding.verdict for finding in profile.findings]
    good = sum(verdict == "pass" for verdict in verdicts)
    failed = sum(verdict == "fail" for verdict in verdicts)
    first = [
        ("Findings", f"{good} of {len(verdicts)}", f"pass; {failed} fail, {len(verdicts) - good - failed} to look at"),
    ]
    if advised is not None:
        first += [
            ("Mode", advised.mode, f"window {advised.window:,}, {advised.pilots} pilots of {advised.pilot_window:,}"),
            (
                "Expected error of the sum",
                f"{100 * advised.expected_error:.2g}\u00a0%",
                "rms of full scale, payloads uniform",
            ),
            ("CSI uncertainty", f"{100 * advised.csi_error:.2g}\u00a0%", "of the worst device's gain when it is used"),
        ]
    return [{"label": label, "value": value, "note": note} for label, value, note in first]


def _part(name: str, record: StepRecord | None, profile: Profile) -> Part:
    rows = [row_of(finding) for finding in profile.findings if finding.step == name]
    facts = flat(profile.facts.get(name, {}))
    if record is None:
        return Part(name.replace("_", " "), "", "", "", rows, (), "", facts)
    return Part(
        name.replace("_", " "),
        record.about,
        record.verdict,
        duration(record.radio_s),
        rows,
        record.plots,
        record.capture,
        facts,
    )


def _radios(profile: Profile) -> list[dict[str, str]]:
    rows = []
    for radio in (profile.receiver, *profile.device):
        receiver = radio is profile.receiver
        gain = profile.receive_gain_db if receiver else radio.transmit_gain_db
        rows.append(
            {
                "name": radio.name,
                "uri": radio.uri or ABSENT,
                "serial": radio.serial or ABSENT,
                "firmware": radio.firmware or ABSENT,
                "gain": ABSENT if gain is None else minus(f"{gain:g} dB"),
                "temperature": ABSENT if radio.temperature_c is None else f"{radio.temperature_c:.1f} \u00b0C",
            }
        )
    return rows
