"""Calibration sessions: whether their intervals hold, their recommendation is right and their prediction comes true.

    python -m bench.calibration [--quick] [--json FILE]

`bench.calibration_coverage`: 100 stations with hidden, randomly drawn impairments; how often stated 95 % intervals contain
what is true, and how wide they are over those of an efficient estimator (Cramer-Rao). `bench.calibration_session`: whole
sessions; the recommended mode, the predicted error against a run's, and the radio time a session takes.
Figures of every quantity are rows of the JSON (their names have brackets).
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from bench import calibration_coverage, calibration_session
from bench.table import publish


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    rows = [*calibration_coverage.rows(arguments.quick), *calibration_session.rows(arguments.quick)]
    shown = [row for row in rows if "[" not in row.name]
    publish("calibration", shown, arguments.quick, arguments.json, [row for row in rows if "[" in row.name])


if __name__ == "__main__":
    main()
