"""The FPGA's converter cores (`cf-ad9361-dds-core-lpc`, `cf-ad9361-lpc`) and the SoC's own sensors (`xadc`)."""

from __future__ import annotations

import errno
from collections.abc import Callable

from radio.emulator.attributes import Attribute, Channel, Device, constant, decimal, refuse, whole
from radio.emulator.wave import ONE, IqStage, Tone

TONE_NAMES = ("TX1_I_F1", "TX1_I_F2", "TX1_Q_F1", "TX1_Q_F2")
_SMALLEST = 1.0 / ONE


class Divider:
    """The filter that divides the rate between transceiver and memory by 8, or does not.

    Args:
        direction: "in" or "out".
        rate: the transceiver's.
        changed: called after a change.
    """

    def __init__(self, direction: str, rate: Callable[[], int], changed: Callable[[], None]) -> None:
        self.on = False
        self._file = f"{direction}_voltage_sampling_frequency"
        self._rate, self._changed = rate, changed

    @property
    def rate_sps(self) -> int:
        return self._rate() // 8 if self.on else self._rate()

    def attributes(self) -> list[Attribute]:
        return [
            Attribute("sampling_frequency", self._file, lambda: str(self.rate_sps), self._write),
            Attribute(
                "sampling_frequency_available",
                f"{self._file}_available",
                lambda: f"{self._rate()} {self._rate() // 8} ",
            ),
        ]

    def _write(self, text: str) -> None:
        wanted = whole(text, 0, 1 << 31)
        if wanted not in (self._rate(), self._rate() // 8):
            raise refuse(errno.EINVAL)
        self.on = wanted != self._rate()
        self._changed()


class TransmitCore:
    """Tone generators, IQ stage and rate of the transmit core.

    Args:
        rate: the transceiver's.
        changed: called after a change with "tones" (the generators start anew), "stage" or "rate".
    """

    def __init__(self, rate: Callable[[], int], changed: Callable[[str], None]) -> None:
        self.tones = [Tone(), Tone(), Tone(), Tone()]
        self.generating = True
        self.stage = IqStage()
        self.divider = Divider("out", rate, lambda: changed("rate"))
        self._changed = changed

    def device(self) -> Device:
        rate = self.divider.attributes()
        rails = [
            Channel(f"voltage{k}", True, [*self._stage(k), *rate], scan_index=k, scan_format="le:S16/16>>0")
            for k in range(2)
        ]
        tones = [Channel(f"altvoltage{k}", True, self._tone(k), TONE_NAMES[k]) for k in range(4)]
        return Device("iio:device2", "cf-ad9361-dds-core-lpc", [*rails, *tones], buffer=_buffer())

    def _stage(self, rail: int) -> list[Attribute]:
        scale, phase = (("i_scale", "i_phase"), ("q_scale", "q_phase"))[rail]

        def one(name: str, field: str) -> Attribute:
            def write(text: str) -> None:
                value = decimal(text, -2.0 + _SMALLEST, 2.0 - _SMALLEST)
                self.stage = self.stage._replace(**{field: int(value * ONE)})  # towards 0: sign and magnitude
                self._changed("stage")

            return Attribute(
                name, f"out_voltage{rail}_{name}", lambda: f"{getattr(self.stage, field) / ONE:.6f}", write
            )

        return [one("calibphase", phase), one("calibscale", scale)]

    def _tone(self, index: int) -> list[Attribute]:
        def update(**values: float) -> None:
            self.tones[index] = self.tones[index]._replace(**values)
            self._changed("tones")

        def write_raw(text: str) -> None:
            self.generating = bool(whole(text, 0, 1))
            self._changed("tones")

        def one(name: str, read: Callable[[Tone], str], write: Callable[[str], None]) -> Attribute:
            return Attribute(
                name, f"out_altvoltage{index}_{TONE_NAMES[index]}_{name}", lambda: read(self.tones[index]), write
            )

        return [
            one(
                "frequency",
                lambda tone: str(round(tone.frequency_hz)),
                lambda text: update(frequency_hz=whole(text, 0, self.divider.rate_sps // 2)),
            ),
            one(
                "phase",
                lambda tone: str(round(1000 * tone.phase_deg)),
                lambda text: update(phase_deg=whole(text, 0, 360_000) / 1000.0),
            ),
            one("scale", lambda tone: f"{tone.scale:.6f}", lambda text: update(scale=decimal(text, 0.0, 1.0))),
            one("raw", lambda tone: str(int(self.generating)), write_raw),
        ]


class StatusRegister:
    """The receive core's registers as `direct_reg_access` shows them: one of them says that samples were lost.

    A client writes an address and reads the value there, or writes an address and a value. The overflow flag stays until
    a 1 is written to it (axi_adc, REG_STATUS).
    """

    ADDRESS, OVERFLOW = 0x80000088, 0x4

    def __init__(self) -> None:
        self.overflow = False
        self._address = 0

    def attribute(self) -> Attribute:
        return Attribute("direct_reg_access", "direct_reg_access", self._read, self._write)

    def _read(self) -> str:
        return f"0x{self.OVERFLOW if self.overflow and self._address == self.ADDRESS else 0:X}"

    def _write(self, text: str) -> None:
        try:
            address, *value = (int(word, 0) for word in text.split())
        except ValueError:
            raise refuse(errno.EINVAL) from None
        self._address = address
        if address == self.ADDRESS and value and value[0] & self.OVERFLOW:
            self.overflow = False


def receive_core(divider: Divider, status: StatusRegister) -> Device:
    """The receive core: two rails of 12 bits."""
    channels = [
        Channel(f"voltage{k}", False, divider.attributes(), scan_index=k, scan_format="le:S12/16>>0") for k in range(2)
    ]
    return Device("iio:device3", "cf-ad9361-lpc", channels, debug=[status.attribute()], buffer=_buffer())


def sensors(millidegrees: Callable[[], int]) -> Device:
    """The SoC's temperature and one of its rails: (raw + offset) scale is millidegrees and millivolts."""
    temperature = [
        constant("offset", "in_temp0_offset", "-2219"),
        Attribute("raw", "in_temp0_raw", lambda: str(round(millidegrees() / 123.040771484) + 2219)),
        constant("scale", "in_temp0_scale", "123.040771484"),
    ]
    rail = [
        constant("raw", "in_voltage0_vccint_raw", "1387"),
        constant("scale", "in_voltage0_vccint_scale", "0.732421875"),
    ]
    return Device(
        "iio:device1",
        "xadc",
        [Channel("temp0", False, temperature), Channel("voltage0", False, rail, "vccint")],
        [constant("sampling_frequency", "sampling_frequency", "961538")],
    )


def _buffer() -> list[Attribute]:
    return [constant("length_align_bytes", "length_align_bytes", "8"), constant("watermark", "watermark", "2048")]
