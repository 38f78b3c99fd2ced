"""The report of a run: one self-contained HTML page made from the files of a run folder.

No script, no outside resource: the page can be mailed, printed and archived.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fl.interval import wilson_interval
from fl.reporting import air_figures, cost_figures, learning_figures
from fl.reporting.facts import completed, epsilon_points, privacy_state
from fl.reporting.radio_figures import captures
from fl.reporting.run_files import Evaluations, RunFiles, evaluations, read_run
from fl.reporting.sentences import device_rows, headline, in_words, sent_rows, threat_rows
from fl.reporting.station_table import station_part
from fl.run_folder import write_atomic
from fl.station_log import sessions_of
from radio.figure import Plot, page
from radio.wording import flat

NOT_PRIVATE = "NOT PRIVATE: drawn from truths that only a simulation knows; at the bench no device reveals them."


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder and return its path; an older report is replaced in one step.

    Raises InputError when `run` is not a run folder.
    """
    target = run / "report.html"
    write_atomic(target, render_report(read_run(run)))
    return target


def render_report(run: RunFiles) -> str:
    """The page as text."""
    seen = evaluations(run)
    known = completed(run, seen)
    state = privacy_state(run)
    stops = run.records("stop")
    drawn, heard = plots(run, known, seen), captures(run.path)
    drawn |= {plot.name: plot for capture in heard for plot in capture.plots}
    digests = {key: known[key] for key in ("params_digest", "model_digest") if known.get(key)}
    return page(
        Path(__file__).parent,
        "report.html.j2",
        known=known,
        state=state,
        sentence=in_words(known, state),
        tiles=headline(known, state),
        plots=drawn,
        captures=heard,
        planned=run.option("learning", "rounds"),
        stop=stops[-1].get("reason") if stops else None,
        sent=sent_rows(known),
        statement=run.statement,
        facts=flat(run.summary.get("privacy") or {}),
        threats=threat_rows(run.summary.get("privacy") or {}),
        notice=run.notice or NOT_PRIVATE,
        devices=device_rows(run.air),
        station=station_part(sessions_of(run.path)),
        config={section: flat(values) for section, values in run.config.items() if isinstance(values, dict)},
        provenance=[
            (title, flat(values))
            for title, values in (("Versions", run.versions), ("Seeds", run.seeds), ("Digests", digests))
            if values
        ],
        summary=flat(run.summary),
    )


def plots(run: RunFiles, known: dict[str, Any], seen: Evaluations) -> dict[str, Plot]:
    """All figures of the report by name."""
    n = int(known.get("test_examples") or 0)
    labels = {"zero_shot_accuracy": "zero-shot", "bow_accuracy": "bag of words", "first_order_accuracy": "first-order"}
    references = [(label, float(known[key])) for key, label in labels.items() if known.get(key) is not None]
    floor = known.get("chance_floor")
    ladder: list[tuple[str, float, tuple[float, float] | None]] = []
    if known.get("accuracy") is not None:
        low, high = known.get("accuracy_interval") or wilson_interval(known["accuracy"], n)
        ladder = [("this run", float(known["accuracy"]), (float(low), float(high)))]
        ladder += [(label, level, wilson_interval(level, n) if n else None) for label, level in references]
    drawn = [
        learning_figures.accuracy_ladder(ladder, floor),
        learning_figures.loss_over_rounds(seen),
        learning_figures.accuracy_over_rounds(seen, floor, references),
        air_figures.sums(run.air),
        air_figures.error(run.air),
        air_figures.snr(run.air),
        air_figures.power(run.air),
        air_figures.participation(run.air),
        cost_figures.uplink(
            known.get("uplink_bits_per_device"),
            known.get("first_order_bits_per_device"),
            known.get("payload") == "sign",
        ),
        cost_figures.memory(
            known.get("peak_rss_mib"), known.get("parameters"), known.get("trainable"), known.get("devices")
        ),
    ]
    state = privacy_state(run)
    if state != "off" and known.get("noise_multiplier"):
        rounds, epsilons = epsilon_points(run, known)
        drawn.append(
            cost_figures.epsilon_spent(
                rounds, epsilons, known.get("epsilon_target"), known.get("delta") or 0.0, state == "void"
            )
        )
    return {plot.name: plot for plot in drawn}
