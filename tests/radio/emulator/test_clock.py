"""Virtual time and the computer's."""

from __future__ import annotations

from radio.emulator.clock import Clock


def test_an_open_receiver_captures_without_gaps() -> None:
    clock, end = Clock(), 0.0
    for _ in range(5):
        assert clock.capture(end, 0.25) == end
        clock.command(0.0, 1e6)
        end += 0.25
    assert clock.now == end


def test_two_receivers_read_in_turn_hear_the_same_instants() -> None:
    clock = Clock()
    assert [clock.capture(0.0, 0.5), clock.capture(0.0, 0.5)] == [0.0, 0.0]
    clock.command(0.0, 1e6)  # after what the first has heard
    assert clock.capture(0.2, 0.5) == 0.5  # one that had fallen behind goes on after the change


def test_a_slow_command_makes_a_gap_of_whole_samples() -> None:
    clock = Clock()
    clock.command(1e-3 + 0.4e-6, 1e6)
    assert clock.now == 1e-3
    assert clock.capture(0.0, 1.0) == 1e-3


def test_who_reads_too_late_in_real_time_has_lost_samples() -> None:
    clock = Clock(realtime=True)
    begin = clock.capture(0.0, 1e-3)
    assert begin > 0.0
    clock.wait(begin + 5e-3)
    assert clock.now >= begin + 5e-3
    assert clock.capture(begin + 1e-3, 1e-3) >= begin + 5e-3
    assert clock.capture(clock.now + 10.0, 1e-3) > clock.now + 9.0
