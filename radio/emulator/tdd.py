"""The TDD engine of firmware 0.39 and later (`iio-axi-tdd-0`): its registers, as pyadi-iio's `adi.tddn` sets them.

Frame and channel times are kept in clock cycles and read in these (`_raw`) or in milliseconds. Nothing in the emulator waits
for a frame: transmissions start as without the engine.
"""

from __future__ import annotations

from collections.abc import Callable

from radio.emulator.attributes import Attribute, Channel, Device, constant, decimal, whole

CHANNELS = 3
_LARGEST = (1 << 32) - 1


class TddEngine:
    """Registers of one unit.

    Args:
        rate: samples a second, of which a cycle is one.
    """

    def __init__(self, rate: Callable[[], int]) -> None:
        self._rate = rate
        self._registers: dict[str, int] = {}

    def device(self) -> Device:
        channels = [
            Channel(
                f"voltage{k}",
                True,
                [
                    self._whole(f"voltage{k}", "enable", 1),
                    self._whole(f"voltage{k}", "polarity", 1),
                    *self._time(f"voltage{k}", "on"),
                    *self._time(f"voltage{k}", "off"),
                ],
            )
            for k in range(CHANNELS)
        ]
        own = [
            *self._time("", "frame_length"),
            *self._time("", "startup_delay"),
            *self._time("", "internal_sync_period"),
            self._whole("", "burst_count", _LARGEST),
            *(
                self._whole("", name, 1)
                for name in ("sync_external", "sync_internal", "sync_reset", "sync_soft", "enable")
            ),
            Attribute("state", "state", self._state),
            constant("version", "version", "2.0.a"),
        ]
        return Device("iio:device5", "iio-axi-tdd-0", channels, own)

    def _state(self) -> str:
        """Nothing is wired to the sync input, so an enabled engine waits there unless it is started from within."""
        if not self._registers.get("enable"):
            return "idle"
        return "running" if self._registers.get("sync_internal") or self._registers.get("sync_soft") else "armed"

    def _whole(self, channel: str, name: str, largest: int) -> Attribute:
        key = f"{channel}{name}"

        def write(text: str) -> None:
            self._registers[key] = whole(text, 0, largest)

        return Attribute(name, self._file(channel, name), lambda: str(self._registers.get(key, 0)), write)

    def _time(self, channel: str, name: str) -> list[Attribute]:
        raw = self._whole(channel, f"{name}_raw", _LARGEST)
        key = f"{channel}{name}_raw"

        def read() -> str:
            return f"{1e3 * self._registers.get(key, 0) / self._rate():.6f}"

        def write(text: str) -> None:
            self._registers[key] = round(1e-3 * decimal(text, 0.0, 1e3 * _LARGEST / self._rate()) * self._rate())

        return [raw, Attribute(f"{name}_ms", self._file(channel, f"{name}_ms"), read, write)]

    @staticmethod
    def _file(channel: str, name: str) -> str:
        return f"out_{channel}_{name}" if channel else name
