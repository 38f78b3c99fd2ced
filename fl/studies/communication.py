"""`communication`: channel uses, bits, airtime and energy, a round and to an accuracy, analog against digital."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fl.studies.convergence import DRAWN
from fl.studies.outcome import Point, first_reaching
from fl.studies.rates import contenders
from fl.studies.show import NONE, curves, plain, text
from fl.studies.statistics import estimate
from fl.studies.study import Figure, Results, Study, Table, over_seeds

TARGETS = (0.70, 0.75)


@dataclass(frozen=True)
class Link:
    """What a link is reckoned with.

    bandwidth_hz  of everybody together; power_w: of a sending device
    snr_db        of a device at the receiver over the whole band
    symbol_s      of one analog channel use: a tone of 4,096 samples at 1 MS/s, as the runs send it, pilots not counted
    """

    bandwidth_hz: float = 1e6
    power_w: float = 0.025
    snr_db: float = 20.0
    symbol_s: float = 4096e-6

    @property
    def bits_a_second(self) -> float:
        """Shannon's capacity: no digital scheme does better."""
        return self.bandwidth_hz * math.log2(1.0 + 10.0 ** (self.snr_db / 10.0))

    def airtime_s(self, point: Point) -> float:
        """Uplink of all devices: analog uses are shared, digital bits are sent one device after another."""
        return point.uplink_uses * self.symbol_s + point.uplink_bits / self.bits_a_second

    def energy_j(self, point: Point, devices: int) -> float:
        """Radiated by all devices: in an analog use everybody sends."""
        analog, digital = point.uplink_uses * self.symbol_s, point.uplink_bits / self.bits_a_second
        return self.power_w * (devices * analog + digital)


LINK, DEVICES = Link(), 5


def show(results: Results) -> tuple[list[Table], list[Figure]]:
    rounds, reached = [], []
    for group in results.groups():
        seen = [measured.curve for measured in group.seeds.values() if measured.curve]
        name = text(group.factors["method"])
        if not seen or not any(curve[-1].uplink_uses or curve[-1].uplink_bits for curve in seen):
            continue
        rounds.append([name, *_costs([_each(curve[-1]) for curve in seen])])
        for target in TARGETS:
            hit = [point for curve in seen if (point := first_reaching(curve, target)) is not None]
            reached.append([name, f"{100 * target:g}", f"{len(hit)} of {len(seen)}", *_costs(hit)])
    costs = ["channel uses", "bits", "airtime, s", "energy, J"]
    tables = [
        Table("round", "Uplink of one round, all devices", ["method", *costs], rounds),
        Table(
            "target",
            "Uplink to an accuracy, all devices",
            ["method", "target, %", "seeds that reach it", *costs],
            reached,
        ),
    ]
    drawn = results.only("method", DRAWN)
    figures = [
        curves(drawn, "uplink_uses", "uplink channel uses", logarithmic=True),
        curves(drawn, "uplink_bits", "uplink bits, all devices", logarithmic=True),
    ]
    return tables, figures


def _each(point: Point) -> Point:
    share = 1.0 / max(1, point.round)
    return Point(1, 0.0, 0.0, point.uplink_uses * share, point.uplink_bits * share, point.loss, point.accuracy)


def _costs(points: list[Point]) -> list[str]:
    columns = (
        [p.uplink_uses for p in points],
        [p.uplink_bits for p in points],
        [LINK.airtime_s(p) for p in points],
        [LINK.energy_j(p, DEVICES) for p in points],
    )
    means = [estimate(column) for column in columns]
    return [NONE if mean is None else plain(mean.mean) for mean in means]


STUDY = Study(
    "communication",
    "what does each algorithm send, for how long and with how much energy, until it has learned?",
    f"""
The cells of `convergence`, shown by what they send. Analog: a channel use is a tone of {1e3 * LINK.symbol_s:.1f} ms
that all devices send at once, as the runs send it. Digital: the bits of all devices one after another at Shannon's
capacity in {LINK.bandwidth_hz / 1e6:g} MHz at {LINK.snr_db:g} dB, {LINK.bits_a_second / 1e6:.1f} Mbit/s, which no real
scheme reaches. {1e3 * LINK.power_w:g} mW a device while it sends. Pilots, headers, coding and the downlink are left out
for everybody. MeZO sends nothing: it is central. A tone is long because it needs no burst synchronisation; whoever has
symbol-level synchronisation sends an analog number in a microsecond.
""",
    lambda scale: over_seeds(scale, contenders),
    show,
    cells_of="convergence",
)
