"""What one unit can be trusted with, found out in digital loopback: nothing is radiated, nothing is tuned.

The same on a real and on a virtual unit. The LO, the rate and the filters stay as they are, because changing them makes the
AD9361 calibrate its transmitter, which is heard; so does nothing here need a permit, an antenna or an attenuator.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.pluto.driver import PlutoError
from radio.pluto.permit import PermitError
from radio.pluto.proof import await_wave, prove_weight, proved, weights_found
from radio.pluto.stream import ADC_FULL_SCALE
from radio.pluto.transceiver import PlutoRadio, open_radio
from radio.pluto.weight import probe_wave

BLOCK = 8192  # samples of a kernel block: a capture within one has no gap at any rate
BLOCKS = 4
STALE_TRIALS = 40
ATTRIBUTE_READS = 50


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    name: str
    passed: bool
    detail: str


def selftest(uri: str) -> Iterator[Check]:
    """The checks, one after another, as they are done. Raises PlutoError where the unit cannot even be opened."""
    with open_radio(uri, kernel_blocks=BLOCKS, block_samples=BLOCK) as radio:
        unit = radio.unit
        yield Check("identity", bool(unit.serial), f"{radio.hardware}, iiod {unit.iiod}")
        checks: tuple[tuple[str, Callable[[PlutoRadio], tuple[bool, str]]], ...] = (
            ("temperatures", _temperatures),
            ("attribute timing", _timing),
            ("needs a permit", _permit),
            ("bit-exact loopback", _exact),
            ("weights, live", _weights),
            ("clipping", _clipping),
            ("stale samples", _stale),
            ("block sizes", _sizes),
            ("mute", _mute),
        )
        for name, check in checks:
            try:
                passed, detail = check(radio)
            except PlutoError as error:
                passed, detail = False, str(error)
            yield Check(name, passed, detail)


def _temperatures(radio: PlutoRadio) -> tuple[bool, str]:
    found = radio.unit.temperatures()
    text = ", ".join(f"{name} {value:.1f} C" for name, value in found.items())
    return all(-20.0 < value < 95.0 for value in found.values()), text


def _timing(radio: PlutoRadio) -> tuple[bool, str]:
    """Medians; the write is of a value that is there already."""
    unit = radio.unit
    gain = unit.get("receive_gain").split()[0]

    def median_us(action: Callable[[], object]) -> float:
        spent = []
        for _ in range(ATTRIBUTE_READS):
            begin = time.perf_counter()
            action()
            spent.append(time.perf_counter() - begin)
        return 1e6 * float(np.median(spent))

    read, write = median_us(lambda: unit.get("receive_gain")), median_us(lambda: unit.set("receive_gain", gain))
    return True, f"read {read:.0f} us, write {write:.0f} us"


def _permit(radio: PlutoRadio) -> tuple[bool, str]:
    try:
        radio.transmit(probe_wave(), cyclic=True)
    except PermitError:
        return True, "a transmission without a permit is refused"
    radio.mute()
    return False, "a transmission without a permit was not refused"


def _exact(radio: PlutoRadio) -> tuple[bool, str]:
    """What was sent as 12-bit codes comes back as these, each and in order: rx = tx >> 4."""
    codes = np.random.default_rng(1).integers(-2047, 2048, (BLOCK // 4, 2))
    wave = (codes / 2047.0).reshape(-1).view(np.complex128)
    with radio.digital_loopback():
        radio.transmit(wave, cyclic=True)
        await_wave(radio, wave)
        heard = _codes(radio.receive(BLOCK))
    # Where a capture begins in the wave is not known: at the circular shift that fits best.
    spectrum = np.fft.fft(_complex(heard[: len(codes)])) * np.fft.fft(_complex(codes)).conj()
    shift = int(np.argmax(np.abs(np.fft.ifft(spectrum))))
    wanted = np.tile(np.roll(codes, shift, axis=0), (BLOCK // len(codes), 1))
    wrong = int((wanted != heard).any(axis=1).sum())
    return wrong == 0, f"{BLOCK - wrong} of {BLOCK} samples equal, rx = tx >> 4"


def _weights(radio: PlutoRadio) -> tuple[bool, str]:
    if not prove_weight(radio):
        how = "work by handing over the wave again" if proved(weights_found(radio)) else "do not work either way"
        return False, f"calibscale and calibphase do not scale a running transmission; weights {how}"
    found = weights_found(radio)
    table = "; ".join(f"{_short(wanted)}: {value:.4f}" for wanted, value in found)
    return True, f"largest error {max(abs(value - wanted) for wanted, value in found):.1e} ({table})"


def _clipping(radio: PlutoRadio) -> tuple[bool, str]:
    wave = 1.2 * np.exp(2j * np.pi * np.arange(64) / 64.0)
    beyond = int(((np.abs(wave.real) > 1.0) | (np.abs(wave.imag) > 1.0)).sum())
    before = radio.clipped
    with radio.digital_loopback():
        radio.transmit(wave, cyclic=True)
        await_wave(radio, np.clip(wave.real, -1, 1) + 1j * np.clip(wave.imag, -1, 1))
        heard = _codes(radio.receive(64))
    counted = radio.clipped - before
    peak = int(np.abs(heard).max())
    # A rail that wraps would be missing beside full scale: neighbours of the peaks would have the other sign.
    jump = int(np.abs(np.diff(np.vstack([heard, heard[:1]]), axis=0)).max())
    return counted == beyond and peak == 2047 and jump < 1024, f"{counted} of 64 samples counted, largest code {peak}"


def _stale(radio: PlutoRadio) -> tuple[bool, str]:
    """Every reception after a change holds only what came after it: levels are numbered, by weight where that is proved."""
    late = 0
    with radio.digital_loopback():
        if radio.weighs_live:
            wave = np.full(1024, 1.0 + 0j)
            radio.transmit(wave, cyclic=True)
            await_wave(radio, wave)
            for trial in range(STALE_TRIALS):
                number = 1 + trial % 31
                radio.weigh(number / 32.0)
                heard = _codes(radio.receive(BLOCK))[:, 0]
                late += int(np.abs(heard - number * 2047 / 32.0).max() > 2.0)
        else:
            for trial in range(STALE_TRIALS):
                level = (1 + trial % 31) / 32.0
                wave = np.full(1024, level + 0j)
                radio.transmit(wave, cyclic=True)
                # The new wave may begin late, but the one before must not be heard any more.
                heard = _codes(radio.receive(BLOCK))[:, 0]
                late += int(not np.isin(heard, (0, round(level * 2047))).all())
    how = "live weights" if radio.weighs_live else "new waves"
    return late == 0, f"{late} of {STALE_TRIALS} receptions held samples from before a change ({how})"


def _sizes(radio: PlutoRadio) -> tuple[bool, str]:
    sizes = (1024, 77, 1, BLOCK + 5, 3 * BLOCK)
    found = tuple(radio.receive(n).size for n in sizes)
    return found == sizes, f"asked {', '.join(map(str, sizes))}; got {', '.join(map(str, found))}"


def _mute(radio: PlutoRadio) -> tuple[bool, str]:
    unit = radio.unit
    wave = probe_wave()
    with radio.digital_loopback():
        radio.transmit(wave, cyclic=True)
        await_wave(radio, wave)
        radio.mute()
        heard = float(np.abs(radio.receive(BLOCK)).max())
    gain, off, loopback = unit.get_number("transmit_gain"), unit.get("transmit_lo_off"), unit.get("loopback")
    silent = (
        heard == 0.0 and gain == unit.range("transmit_gain").low and off.startswith("1") and loopback.startswith("0")
    )
    return (
        silent,
        f"largest sample {heard:g}, transmit gain {gain:g} dB, transmit LO {'off' if off.startswith('1') else 'ON'}",
    )


def _codes(samples: NDArray[np.complex128]) -> NDArray[np.int64]:
    """(n, 2) of (n,) samples; a lost one is no code and equals none."""
    rails = np.nan_to_num(samples.view(np.float64).reshape(-1, 2), nan=9.0)
    return np.rint(rails * ADC_FULL_SCALE).astype(np.int64)


def _complex(codes: NDArray[np.int64]) -> NDArray[np.complex128]:
    return np.asarray(codes[:, 0] + 1j * codes[:, 1])


def _short(value: complex) -> str:
    return f"{value.real:g}" if value.imag == 0 else f"{value.imag:g}j" if value.real == 0 else f"{value:g}"
