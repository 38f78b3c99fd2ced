"""The words and tables of the page around its figures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fl.reporting.air_log import AirLog, mean_power_db
from fl.reporting.run_files import number
from radio.air import Mode
from radio.wording import ABSENT, bound, count, decibels, devices, duration, minus, percent, short


def headline(known: dict[str, Any], state: str) -> list[dict[str, str]]:
    """The tiles at the top: label, value, and the line that makes the value mean something."""
    low, high = known.get("accuracy_interval") or (None, None)
    interval = f"95 % interval {percent(low)} to {percent(high)}; " if low is not None else ""
    floors = [
        f"{label} {percent(known[key])}"
        for key, label in (
            ("chance_floor", "chance floor"),
            ("zero_shot_accuracy", "zero-shot"),
            ("bow_accuracy", "bag of words"),
            ("first_order_accuracy", "first-order"),
        )
        if known.get(key) is not None
    ]
    gain = (
        known["accuracy"] - known["zero_shot_accuracy"]
        if known.get("accuracy") is not None and known.get("zero_shot_accuracy") is not None
        else None
    )
    if state == "off":
        privacy = {"label": "Privacy", "value": "off", "note": "no noise was added; nothing is guaranteed"}
    else:
        target = f"; {known['epsilon_target']:g} allowed" if known.get("epsilon_target") else ""
        spent = f"\u03b5 = {bound(known['epsilon'])}" if known.get("epsilon") is not None else ABSENT
        delta = f"at \u03b4 = {known['delta']:g}{target}" if known.get("delta") else ""
        privacy = {"label": f"Privacy, per {known.get('unit', 'example')}", "value": spent, "note": delta}
        if state == "void":
            privacy |= {"value": "void", "note": f"secret randomness: {spent} {delta}"}
    n, rate = known.get("test_examples"), known.get("rounds_per_s")
    seen = f"{interval}{n:,} examples, 1 seed" if known.get("accuracy") is not None and n else "not evaluated yet"
    counts = {label: count(known.get(key)) for key, label in (("slots", "air slots"), ("erased",) * 2, ("burned",) * 2)}
    slots = ", ".join(f"{many} {label}" for label, many in counts.items())
    times = f"; resumed {known['resumed']} times".replace(" 1 times", " once") if known.get("resumed") else ""
    nmse, snr, full = (
        number(known.get(key), math.nan) for key in ("aggregate_nmse_db", "received_snr_db", "full_scale_snr_db")
    )
    air = [] if math.isnan(nmse) else ["of the received sum"]
    air += (
        []
        if math.isnan(snr)
        else [f"received SNR {decibels(snr)}" + ("" if math.isnan(full) else f" ({decibels(full)} at full scale)")]
    )
    bits, first, memory = (
        known.get(key) for key in ("uplink_bits_per_device", "first_order_bits_per_device", "peak_rss_mib")
    )
    later = "recorded when the run ends"
    return [
        {"label": "Held-out accuracy", "value": percent(known.get("accuracy")), "note": seen},
        {
            "label": "Over zero-shot",
            "value": ABSENT if gain is None else minus(f"{100 * gain:+.1f} points"),
            "note": ", ".join(floors),
        },
        privacy,
        {"label": "Rounds", "value": count(known.get("rounds")), "note": slots + times},
        {
            "label": "Training time",
            "value": duration(known.get("train_s")),
            "note": later
            if known.get("train_s") is None
            else f"{duration(known.get('total_s'))} in all" + (f"; {rate:.2f} rounds/s" if rate else ""),
        },
        {
            "label": "Peak memory",
            "value": f"{memory:,.0f} MiB" if memory else ABSENT,
            "note": f"resident, {'this process' if known.get('station') else 'whole simulation'}: "
            f"{devices(known.get('devices'))}, radio and libraries"
            if memory
            else later,
        },
        {
            "label": "Aggregation error",
            "value": ABSENT if math.isnan(nmse) else "none" if nmse == -math.inf else decibels(nmse),
            "note": "; ".join(air),
        },
        {
            "label": "Uplink per device",
            "value": f"{short(bits)}bit" if bits else ABSENT,
            "note": f"first-order: {short(first)}bit" if first else "",
        },
    ]


def in_words(known: dict[str, Any], state: str) -> str:
    """The run in one sentence."""
    rounds, numbers, kind = int(known.get("rounds") or 0), _scalars(known), _kind(known)
    who, what = devices(known.get("devices")), f"one {kind}" if numbers == 1 else f"{numbers} {kind}s"
    task = known.get("task") or "a task"
    if not rounds:
        text = f"No round has been committed yet: {who} will fine-tune one language model on {task} over the air"
    else:
        span = f"{rounds:,} {'round' if rounds == 1 else 'rounds'}"
        text = f"{who[0].upper()}{who[1:]} fine-tuned one language model on {task} for {span} over the air"
    text += f", each sending {what} a round and no gradient"
    accuracy, zero_shot, floor = (known.get(key) for key in ("accuracy", "zero_shot_accuracy", "chance_floor"))
    if accuracy is not None:
        text += f"; held-out accuracy is {percent(accuracy)}"
        text += f", from {percent(zero_shot)} before training" if zero_shot is not None else ""
        text += f" (guessing gives {percent(floor)})" if floor is not None else ""
    if state == "on" and rounds and known.get("epsilon") is not None:
        spent = f"\u03b5 = {bound(known['epsilon'])}".replace(" ", "\u00a0")
        delta = f"\u03b4 = {known['delta']:g}".replace(" ", "\u00a0")
        whose = "all data of any one device" if known.get("unit") == "device" else "any single training example"
        text += f", and {whose} is protected with {spent} at {delta}"
    return (
        text
        + {"off": "; there is no privacy protection.", "void": "; the privacy guarantee is void.", "on": "."}[state]
    )


def _scalars(known: dict[str, Any]) -> int:
    """What a device sends in a round: one number for every direction of every local step."""
    return int(known.get("perturbations") or 1) * int(known.get("local_steps") or 1)


def _kind(known: dict[str, Any]) -> str:
    return "sign" if known.get("payload") == "sign" else "real number"


def sent_rows(known: dict[str, Any]) -> list[tuple[str, str]]:
    """What one device sent, in figures."""
    mode: Mode | None = known.get("mode")
    rows = [
        (
            f"{_kind(known)}s sent by a device, at most",
            f"{int(known.get('slots') or 0) * _scalars(known):,}",
        ),
        ("a round", count(_scalars(known) if known.get("perturbations") else None)),
        (
            f"devices sending {'one after another' if mode and mode.takes_turns else 'at the same time'}, at most",
            count(known.get("devices")),
        ),
    ]
    optional = (
        ("channel_uses", "channel uses of the run", ",d"),
        ("forward_passes", "forward passes of a device in a round", "g"),
        ("clip", "bound of one example's contribution", "g"),
        ("sampling_rate", "chance of an example to take part in a round", ".3g"),
        ("noise_multiplier", "own noise over sensitivity", ".3g"),
    )
    return rows + [(label, f"{known[key]:{form}}") for key, label, form in optional if known.get(key) is not None]


def threat_rows(statement: dict[str, Any]) -> list[dict[str, Any]]:
    """What the run cost against each threat, as the statement tells it; none for a run that did not record it."""
    rows: list[dict[str, Any]] = []
    for threat in statement.get("threats") or ():
        cost = bound(threat["epsilon"]) if threat["epsilon"] is not None else "\u221e" if threat["known"] else ABSENT
        rows.append({key: threat[key] for key in ("name", "enforced", "observer", "note")} | {"epsilon": cost})
    if statement.get("device_epsilon") is not None:
        rows.append(
            {
                "name": "device level",
                "enforced": False,
                "observer": "against the enforced threat, for all data of one device instead of one example",
                "note": "no protection" if statement["device_epsilon"] > 20.0 else "",
                "epsilon": f"{statement['device_epsilon']:,.0f}",
            }
        )
    return rows


def device_rows(air: AirLog) -> list[dict[str, str]]:
    """One row a device: active share, mean power while sending, clipped samples, mean channel gain."""
    slots, many = air.active.shape
    if not slots:
        return []
    power_dbfs = mean_power_db(air.power_dbfs, [slice(None)])[0] if air.power_dbfs.shape[1] else np.full(many, math.nan)
    rows = []
    for k in range(many):
        gains = air.gain_db[:, k][np.isfinite(air.gain_db[:, k])] if k < air.gain_db.shape[1] else np.zeros(0)
        rows.append(
            {
                "device": str(k),
                "active": percent(air.active[:, k].mean()),
                "power": minus(f"{power_dbfs[k]:.1f}") if math.isfinite(power_dbfs[k]) else "silent",
                "clipped": f"{int(np.nansum(air.clipped[:, k])):,}" if k < air.clipped.shape[1] else ABSENT,
                "gain": minus(f"{gains.mean():.1f}") if len(gains) else ABSENT,
            }
        )
    return rows
