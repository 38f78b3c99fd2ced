"""The journal: what is written is read back exactly, torn tails are trimmed, anything else foreign is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fl.journal import FORMAT, NAME, Journal, read_history
from fl.update import Carried, Move, RoundUpdate, own_moves
from privacy.record_log import RecordLog, encode, read_records
from radio.errors import InputError

HEADER = {"run_id": "ab", "name": "test", "experiment": "cd"}
FLOAT = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def folder(tmp_path):
    with_rounds(tmp_path)
    return tmp_path


UPDATES = [
    RoundUpdate(0xFEDCBA9876543210, 0.1, 2, "central", (Move(0xFEDCBA9876543210, 0, 0.1 + 0.2), Move(7, 1, -1e-300))),
    RoundUpdate(1, 0.1, 2),
    RoundUpdate(2, 0.1, 2, "one-sided", own_moves(2, (5e-324, 1 / 3))),
]


def with_rounds(path):
    journal = Journal(path, HEADER)
    journal.model(digest="ef", parameters=10, trainable=4)
    journal.evaluation(0.7, 0.5, 20, False)
    journal.commit(0, UPDATES[0], 0.01, [1.0, -2.0], 3)
    journal.erase(1, UPDATES[1], "saturation")
    journal.burn(2)
    journal.resume()
    journal.commit(3, UPDATES[2], 0.005, [0.5, 0.25], 2)
    journal.close()


def test_history_is_what_was_written(folder):
    history = read_history(folder)
    assert history.updates == UPDATES
    assert history.header == {"type": "run", "format": FORMAT, **HEADER}
    assert history.model == {"type": "model", "digest": "ef", "parameters": 10, "trainable": 4}
    assert (history.rounds, history.erased, history.burned, history.resumed) == (2, 1, 1, 1)
    assert history.slots == {0, 1, 2, 3}
    assert history.evaluations == [
        {"type": "evaluation", "round": 0, "loss": 0.7, "accuracy": 0.5, "examples": 20, "final": False}
    ]
    assert history.stop is None
    last = read_records(folder / NAME)[-1]
    assert (last["round"], last["rate"], last["mean"], last["active"]) == (2, 0.005, [0.5, 0.25], 2)


def test_opening_again_goes_on_with_the_same_history(folder):
    journal = Journal(folder)
    assert journal.history == read_history(folder)
    journal.stop("finished", "12")
    assert journal.history.stop == {"type": "stop", "reason": "finished", "digest": "12"}
    journal.resume()
    assert journal.history.stop is None
    journal.close()
    assert read_history(folder) == journal.history


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("journal")


@hypothesis_settings(max_examples=40)
@given(steps=st.lists(FLOAT, max_size=4), mu=FLOAT, seed=st.integers(0, 2**64 - 1))
def test_steps_survive_bit_for_bit(scratch, steps, mu, seed):
    folder = scratch
    (folder / NAME).unlink(missing_ok=True)
    update = RoundUpdate(seed, mu, len(steps), "central", own_moves(seed, tuple(steps)))
    journal = Journal(folder, HEADER)
    journal.commit(0, update, 0.1, steps, 1)
    journal.close()
    (found,) = read_history(folder).updates
    assert repr(found) == repr(update)  # repr tells -0.0 from 0.0


def test_what_is_carried_on_from_earlier_rounds_is_read_back_exactly(tmp_path):
    journal = Journal(tmp_path, HEADER)
    made: list[RoundUpdate] = []
    for slot in range(5):
        carried = Carried(0.1 + slot / 3, 2, made[-1]) if made else None
        made.append(RoundUpdate(slot, 0.1, 1, "untouched", own_moves(slot, (1 / (slot + 1),)), carried))
        journal.commit(slot, made[-1], 0.01, [0.5 * slot], 3)
        if slot == 2:
            journal.erase(9, RoundUpdate(77, 0.1, 1), "interference")
    assert journal.history.last == made[-1]
    journal.close()
    history = read_history(tmp_path)
    found = [u for u in history.updates if u.own]
    assert found == made
    assert [u.moves for u in found] == [u.moves for u in made]
    d3, d4 = 0.1 + 3 / 3, 0.1 + 4 / 3
    assert made[4].moves == (Move(4, 0, -1 / 5), Move(3, 0, d4 * (-1 / 4)), Move(2, 0, (d4 * d3) * (-1 / 3)))
    assert history.received == [([0.5 * slot], 0.01) for slot in range(5)]


def test_a_first_round_that_carries_something_on_is_refused(tmp_path):
    with_rounds(tmp_path)
    records = read_records(tmp_path / NAME)
    first = next(r for r in records if r["type"] == "round")
    first["carried"] = ["0x1p-1", 3]
    (tmp_path / NAME).write_bytes(b"".join(encode(r) for r in records))
    with pytest.raises(InputError, match="first round carries on"):
        read_history(tmp_path)


def test_a_torn_tail_is_what_a_crash_leaves_and_is_cut_off(folder):
    path = folder / NAME
    whole = path.read_bytes()
    history = read_history(folder)
    for torn in (b"1", b'deadbeef {"type":"rou', encode({"type": "burned", "slot": 4})[:-1], b"00000000 {}\n"):
        path.write_bytes(whole + torn)
        assert read_history(folder) == history
        journal = Journal(folder)
        assert journal.history == history
        journal.close()
        assert path.read_bytes() == whole


def test_damage_elsewhere_is_refused_and_not_guessed_at(folder):
    path = folder / NAME
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"journal.jsonl line \d+ is damaged"):
        read_history(folder)
    with pytest.raises(InputError, match="damaged"):
        Journal(folder)
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "first", [{"type": "model"}, {"type": "run", "format": 99}, {"kind": "ledger", "version": 1}, {"type": "run"}]
)
def test_a_foreign_file_is_refused_and_left_alone(tmp_path, first):
    path = tmp_path / NAME
    path.write_bytes(encode(first))
    for read in (read_history, Journal):
        with pytest.raises(InputError, match=f"not a pairzero journal of format {FORMAT}"):
            read(tmp_path)
    assert path.read_bytes() == encode(first)


def test_no_journal_is_no_run(tmp_path):
    with pytest.raises(InputError, match="is not a run folder"):
        read_history(tmp_path)


def test_a_record_of_unknown_type_is_refused(folder):
    with RecordLog(folder / NAME) as log:
        log.append({"type": "merge", "slot": 9})
    with pytest.raises(InputError, match="unknown type 'merge'"):
        read_history(folder)


def test_only_one_writer(folder):
    journal = Journal(folder)
    with pytest.raises(InputError, match="in use by another process"):
        Journal(folder)
    assert read_history(folder).rounds == 2  # reading needs no lock
    journal.close()
    Journal(folder).close()
