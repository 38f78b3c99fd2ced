"""The AD9363 of a unit: its settings, their ranges and how they depend on each other (`ad9361-phy`)."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from dataclasses import dataclass

from radio.emulator.attributes import Attribute, Channel, Device, constant, decimal, refuse, whole, word
from radio.emulator.reference import NOMINAL_HZ, Reference, tunable

LOWEST_LO_HZ, HIGHEST_LO_HZ = 325_000_000, 3_800_000_000
HIGHEST_RATE = 61_440_000
LOWEST_RATE = 25_000_000 // 12  # without the FIR filter
LOWEST_FIR_RATE = 25_000_000 // 48
LOWEST_BANDWIDTH, HIGHEST_RX_BANDWIDTH, HIGHEST_TX_BANDWIDTH = 200_000, 56_000_000, 40_000_000
XO_SPAN = 8000
_GAIN_MODES = ("manual", "fast_attack", "slow_attack", "hybrid")
_STATES = ("sleep", "wait", "alert", "fdd", "pinctrl", "pinctrl_fdd_indep")
_FASTEST_DAC = 160_000_000


@dataclass
class Settings:
    """What a unit boots with."""

    rx_lo_hz: int = 2_400_000_000
    tx_lo_hz: int = 2_450_000_000
    rate_sps: int = 30_720_000
    rx_bandwidth_hz: int = 18_000_000
    tx_bandwidth_hz: int = 18_000_000
    gain_mode: str = "slow_attack"
    rx_gain_db: int = 71
    tx_gain_db: float = -10.0
    rx_down: bool = False
    tx_down: bool = False
    loopback: int = 0
    state: str = "fdd"
    calibration: str = "auto"
    fir: bool = False
    fir_taps: tuple[int, int, int, int] = (0, 0, 0, 0)  # receive taps, decimation, transmit taps, interpolation
    quadrature_tracking: bool = True
    rf_dc_tracking: bool = True
    bb_dc_tracking: bool = True


def gain_range_db(lo_hz: float) -> tuple[int, int]:
    """Receive gain by band."""
    if lo_hz < 1.3e9:
        return -1, 73
    return (-3, 71) if lo_hz <= 4e9 else (-10, 62)


class Transceiver:
    """Settings of one unit, changed through attributes.

    Args:
        reference: its crystal.
        changed: called after a change with what changed: "rx", "tx" or "rate" (a synthesiser or all of them were tuned
            anew) or "set" (nothing else).
        measured: gives temperature in millidegrees and the received power in dB of full scale.
    """

    def __init__(
        self, reference: Reference, changed: Callable[[str], None], measured: Callable[[], tuple[int, float]]
    ) -> None:
        self.settings = Settings()
        self._reference = reference
        self._changed = changed
        self._measured = measured

    @property
    def rx_lo_hz(self) -> float:
        return tunable(self.settings.rx_lo_hz)

    @property
    def tx_lo_hz(self) -> float:
        return tunable(self.settings.tx_lo_hz)

    def device(self) -> Device:
        """Its description. Order and names as the driver's."""
        rate = self._rate("in"), self._rate("out")
        receive = Channel("voltage0", False, [*self._receiver(), *rate[0]])
        transmit = Channel("voltage0", True, [*self._transmitter(), *rate[1]])
        fir = Attribute("voltage_filter_fir_en", "in_out_voltage_filter_fir_en", self._read_fir, self._write_fir)
        temperature = Attribute("input", "in_temp0_input", lambda: str(self._measured()[0]))
        return Device(
            "iio:device0",
            "ad9361-phy",
            [
                Channel("altvoltage0", True, self._synthesiser("rx"), "RX_LO"),
                Channel("altvoltage1", True, self._synthesiser("tx"), "TX_LO"),
                receive,
                transmit,
                Channel("temp0", False, [temperature]),
                Channel("out", False, [fir]),
            ],
            self._own(),
            [Attribute("loopback", "loopback", lambda: str(self.settings.loopback), self._write_loopback)],
        )

    def _choice(self, name: str, file: str, setting: str, allowed: tuple[str, ...]) -> Attribute:
        def write(text: str) -> None:
            setattr(self.settings, setting, word(text, allowed))
            self._changed("set")

        return Attribute(name, file, lambda: str(getattr(self.settings, setting)), write)

    def _switch(self, name: str, file: str, setting: str) -> Attribute:
        def write(text: str) -> None:
            setattr(self.settings, setting, bool(whole(text, 0, 1)))
            self._changed("set")

        return Attribute(name, file, lambda: str(int(getattr(self.settings, setting))), write)

    def _integer(self, name: str, file: str, setting: str, low: int, high: int) -> list[Attribute]:
        def write(text: str) -> None:
            setattr(self.settings, setting, whole(text, low, high))
            self._changed("set")

        return [
            Attribute(name, file, lambda: str(getattr(self.settings, setting)), write),
            constant(f"{name}_available", f"{file}_available", f"[{low} 1 {high}]"),
        ]

    def _synthesiser(self, side: str) -> list[Attribute]:
        file = f"out_altvoltage{0 if side == 'rx' else 1}_{side.upper()}_LO"
        setting = f"{side}_lo_hz"

        def read() -> str:
            return str(math.floor(tunable(getattr(self.settings, setting))))

        def write(text: str) -> None:
            setattr(self.settings, setting, whole(text, LOWEST_LO_HZ, HIGHEST_LO_HZ))
            low, high = gain_range_db(self.settings.rx_lo_hz)
            self.settings.rx_gain_db = min(high, max(low, self.settings.rx_gain_db))
            self._changed(side)

        available = f"[{LOWEST_LO_HZ} 1 {HIGHEST_LO_HZ}]"
        return [
            Attribute("frequency", f"{file}_frequency", read, write),
            constant("frequency_available", f"{file}_frequency_available", available),
            self._switch("powerdown", f"{file}_powerdown", f"{side}_down"),
        ]

    def _receiver(self) -> list[Attribute]:
        def read_range() -> str:
            low, high = gain_range_db(self.settings.rx_lo_hz)
            return f"[{low} 1 {high}]"

        def write_gain(text: str) -> None:
            wanted = decimal(text, -1e6, 1e6)
            if self.settings.gain_mode != "manual":
                return  # the driver says so in the kernel's log and nowhere else
            low, high = gain_range_db(self.settings.rx_lo_hz)
            if not low <= wanted <= high:
                raise refuse(errno.EINVAL)
            self.settings.rx_gain_db = int(wanted)
            self._changed("set")

        modes = " ".join(_GAIN_MODES)
        return [
            self._choice("gain_control_mode", "in_voltage0_gain_control_mode", "gain_mode", _GAIN_MODES),
            constant("gain_control_mode_available", "in_voltage_gain_control_mode_available", modes),
            Attribute(
                "hardwaregain", "in_voltage0_hardwaregain", lambda: f"{self.settings.rx_gain_db}.000000 dB", write_gain
            ),
            Attribute("hardwaregain_available", "in_voltage0_hardwaregain_available", read_range),
            *self._integer(
                "rf_bandwidth", "in_voltage_rf_bandwidth", "rx_bandwidth_hz", LOWEST_BANDWIDTH, HIGHEST_RX_BANDWIDTH
            ),
            Attribute("rssi", "in_voltage0_rssi", lambda: f"{max(0.0, -self._measured()[1]):.2f} dB"),
            self._switch("quadrature_tracking_en", "in_voltage_quadrature_tracking_en", "quadrature_tracking"),
            self._switch("rf_dc_offset_tracking_en", "in_voltage_rf_dc_offset_tracking_en", "rf_dc_tracking"),
            self._switch("bb_dc_offset_tracking_en", "in_voltage_bb_dc_offset_tracking_en", "bb_dc_tracking"),
            constant("rf_port_select", "in_voltage0_rf_port_select", "A_BALANCED"),
        ]

    def _transmitter(self) -> list[Attribute]:
        def write_gain(text: str) -> None:
            self.settings.tx_gain_db = round(4.0 * decimal(text, -89.75, 0.0)) / 4.0
            self._changed("set")

        return [
            Attribute(
                "hardwaregain", "out_voltage0_hardwaregain", lambda: f"{self.settings.tx_gain_db:.6f} dB", write_gain
            ),
            constant("hardwaregain_available", "out_voltage0_hardwaregain_available", "[-89.750000 0.250000 0.000000]"),
            *self._integer(
                "rf_bandwidth", "out_voltage_rf_bandwidth", "tx_bandwidth_hz", LOWEST_BANDWIDTH, HIGHEST_TX_BANDWIDTH
            ),
            constant("rf_port_select", "out_voltage0_rf_port_select", "A"),
        ]

    def _rate(self, side: str) -> list[Attribute]:
        def write(text: str) -> None:
            lowest = LOWEST_FIR_RATE if self.settings.fir else LOWEST_RATE
            self.settings.rate_sps = whole(text, lowest, HIGHEST_RATE)
            self._changed("rate")

        def read_range() -> str:
            return f"[{LOWEST_FIR_RATE if self.settings.fir else LOWEST_RATE} 1 {HIGHEST_RATE}]"

        file = f"{side}_voltage_sampling_frequency"
        return [
            Attribute("sampling_frequency", file, lambda: str(self.settings.rate_sps), write),
            Attribute("sampling_frequency_available", f"{file}_available", read_range),
            Attribute("filter_fir_en", f"{side}_voltage_filter_fir_en", self._read_fir, self._write_fir),
        ]

    def _read_fir(self) -> str:
        return str(int(self.settings.fir))

    def _write_fir(self, text: str) -> None:
        wanted = bool(whole(text, 0, 1))
        if wanted and not self.settings.fir_taps[0]:
            raise refuse(errno.EINVAL)
        if not wanted and self.settings.rate_sps < LOWEST_RATE:
            raise refuse(errno.EINVAL)
        self.settings.fir = wanted
        self._changed("rate")

    def _write_fir_config(self, text: str) -> None:
        """A filter as ADI's design tool writes it. Its taps are counted and checked; the passband is taken as flat."""
        receive = transmit = 0
        taps = 0
        for line in text.splitlines():
            words = line.split("#")[0].split()
            if not words:
                continue
            if words[0] in ("RX", "TX"):
                if len(words) != 6 or words[4] != ("DEC" if words[0] == "RX" else "INT"):
                    raise refuse(errno.EINVAL)
                factor = whole(words[5], 1, 4)
                receive, transmit = (factor, transmit) if words[0] == "RX" else (receive, factor)
                continue
            for coefficient in "".join(words).split(","):
                whole(coefficient, -32768, 32767)
            taps += 1
        if not receive or not transmit or not taps or taps % 16 or taps > 128:
            raise refuse(errno.EINVAL)
        self.settings.fir_taps = (taps, receive, taps, transmit)
        self._changed("set")

    def _write_loopback(self, text: str) -> None:
        self.settings.loopback = whole(text, 0, 2)
        self._changed("set")

    def _write_correction(self, text: str) -> None:
        self._reference.correction_hz = whole(text, NOMINAL_HZ - XO_SPAN, NOMINAL_HZ + XO_SPAN)
        self._changed("rate")

    def _path_rates(self, names: tuple[str, str, str, str, str]) -> str:
        """Rates along the filters: converter, two half-bands, FIR, samples."""
        rate = self.settings.rate_sps
        ratio = next(ratio for ratio in (8, 4, 2, 1) if rate * ratio <= _FASTEST_DAC)
        if self.settings.fir:
            ratio = max(ratio, self.settings.fir_taps[1])
        converter = rate * ratio
        steps = (converter, max(rate, converter // 2), max(rate, converter // 4), rate, rate)
        parts = [f"BBPLL:{converter * max(1, 983_040_000 // converter)}"]
        return " ".join(parts + [f"{name}:{step}" for name, step in zip(names, steps, strict=True)])

    def _own(self) -> list[Attribute]:
        modes = ("auto", "manual", "manual_tx_quad", "tx_quad", "rf_dc_offs", "rssi_gain_step")

        def taps() -> str:
            receive, decimation, transmit, interpolation = self.settings.fir_taps
            return f"FIR Rx: {receive},{decimation} Tx: {transmit},{interpolation}"

        correction_range = f"[{NOMINAL_HZ - XO_SPAN} 1 {NOMINAL_HZ + XO_SPAN}]"
        receive = ("ADC", "R2", "R1", "RF", "RXSAMP")
        transmit = ("DAC", "T2", "T1", "TF", "TXSAMP")
        return [
            self._choice("calib_mode", "calib_mode", "calibration", modes),
            constant("calib_mode_available", "calib_mode_available", " ".join(modes)),
            self._choice("ensm_mode", "ensm_mode", "state", _STATES),
            constant("ensm_mode_available", "ensm_mode_available", " ".join(_STATES)),
            Attribute("filter_fir_config", "filter_fir_config", taps, self._write_fir_config),
            Attribute("rx_path_rates", "rx_path_rates", lambda: self._path_rates(receive)),
            Attribute("tx_path_rates", "tx_path_rates", lambda: self._path_rates(transmit)),
            Attribute(
                "xo_correction", "xo_correction", lambda: str(self._reference.correction_hz), self._write_correction
            ),
            constant("xo_correction_available", "xo_correction_available", correction_range),
        ]
