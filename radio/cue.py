"""What a transmitter is asked to send: words that are public, and so may go over any link.

A cue says when and what kind, never a value. A payload is known to its transmitter alone, which was told how loud it may be
(precoder and payload peak) before the air slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CueKind = Literal["hold", "start", "pilot", "together", "payload", "reference", "rest", "mute"]


@dataclass(frozen=True)
class Cue:
    """One device's next act.

    Attributes:
        kind: "hold": the tone of coherent mode runs at weight 0, and is started if it does not; "start": the same, but
            started in any case; "pilot": alone at full scale; "together": with all others, at amplitude `level`;
            "payload": a scalar, or a codeword of one; "reference": `level` payload peaks, as if they were a payload;
            "rest": nothing, but a tone that is held runs on at weight 0; "mute": nothing at all.
        round_index: of the round.
        scalar: which of the payload's P numbers.
        codeword: which of that number's codewords.
        level: amplitude, DAC full scale = 1, or payload peaks; public.
        turn: cycles a sample by which a burst turns against its carrier's offset, from `elapsed` samples on.
        elapsed: samples from the instant that the channel estimates refer to.
    """

    kind: CueKind
    round_index: int = 0
    scalar: int = 0
    codeword: int = 0
    level: float = 1.0
    turn: float = 0.0
    elapsed: int = 0


REST = Cue("rest")
