"""The file of a store: what goes in comes out, and what is no sound store is refused and left as it is."""

from __future__ import annotations

import copy
import os
import pickle
import resource
import sqlite3
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unshap_plugin.coalitions import keys_of
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.store.file import Store
from unshap_plugin.store.fingerprint import Fingerprint
from unshap_plugin.store.layout import faults
from unshap_plugin.store.utilities import StoredUtilities

GAME = Fingerprint("c0ffee", 11, (), {"model": "Ridge", "settings": {}})
OTHER = Fingerprint("decaf", 9, (2,), {"model": "Lasso", "settings": {}})


def batch(game, m, seed=0):
    rng = np.random.default_rng(seed)
    numbers = np.unique(rng.integers(0, 2**game.n_players, m))
    keys = keys_of((numbers[:, None] >> np.arange(game.n_players) & 1).astype(bool))
    utilities = np.stack([np.random.default_rng(int(one)).normal(size=game.shape) for one in numbers])
    return keys, utilities


def held(store, game):
    """What a store has of a game, by the bits of the coalitions."""
    return {k: v.tobytes() for one in store.batches(game) for k, v in zip(one.keys, one.utilities, strict=True)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "values.db"


@pytest.fixture
def full(path):
    """A store of two games in several batches, that nobody has open."""
    store = Store(path)
    for seed in range(5):
        for game in (GAME, OTHER):
            store.write(game, *batch(game, 400, seed))
    store.close()
    assert [one.name for one in path.parent.iterdir()] == ["values.db"]
    return path


BATCHES = st.lists(st.tuples(st.sampled_from([GAME, OTHER]), st.integers(1, 12), st.integers(0, 3)), max_size=4)


@settings(max_examples=15, deadline=None)
@given(BATCHES, BATCHES)
def test_what_goes_in_comes_out_and_merging_adds_what_is_new_once(ours, theirs):
    with tempfile.TemporaryDirectory() as folder:
        stores = Store(f"{folder}/ours.db"), Store(f"{folder}/theirs.db")
        expected = {GAME.sha256: {}, OTHER.sha256: {}}, {GAME.sha256: {}, OTHER.sha256: {}}
        for store, written, has in zip(stores, (ours, theirs), expected, strict=True):
            for game, m, seed in written:
                keys, utilities = batch(game, m, seed)
                store.write(game, keys, utilities)
                has[game.sha256].update({k: v.tobytes() for k, v in zip(keys, utilities, strict=True)})
        for store, has in zip(stores, expected, strict=True):
            again = Store(store.path)
            assert {game.sha256: held(again, game) for game in (GAME, OTHER)} == has
            counts = {one.fingerprint.sha256: one.coalitions for one in again.games()}
            assert counts == {name: len(found) for name, found in has.items() if found}
        both = {name: expected[1][name] | expected[0][name] for name in expected[0]}
        new = sum(map(len, both.values())) - sum(map(len, expected[0].values()))
        assert stores[0].merge(stores[1]) == (new, 0)
        assert stores[0].merge(stores[1]) == (0, 0)
        assert {game.sha256: held(stores[0], game) for game in (GAME, OTHER)} == both
        assert faults(stores[0].path) == []
        assert {game.sha256: held(stores[1], game) for game in (GAME, OTHER)} == expected[1]
        for store in stores:
            store.close()


def test_what_differs_stays_as_it_is_and_is_counted(tmp_path):
    ours, theirs = Store(tmp_path / "ours.db"), Store(tmp_path / "theirs.db")
    keys, utilities = batch(GAME, 10)
    ours.write(GAME, keys, utilities)
    theirs.write(GAME, keys, utilities + (np.arange(len(keys)) < 3))
    assert ours.merge(theirs) == (0, 3)
    assert list(held(ours, GAME).values()) == [one.tobytes() for one in utilities]


def test_what_is_finite_takes_the_place_of_what_was_excluded(tmp_path):
    ours, theirs = Store(tmp_path / "ours.db"), Store(tmp_path / "theirs.db")
    keys, utilities = batch(GAME, 10)
    ours.write(GAME, keys, np.where(np.arange(len(keys)) < 3, np.nan, utilities))
    theirs.write(GAME, keys, np.where(np.arange(len(keys)) == 5, np.nan, utilities))
    assert ours.merge(theirs) == (3, 1)
    assert ours.merge(theirs) == (0, 1)
    assert list(held(ours, GAME).values()) == [one.tobytes() for one in utilities]
    assert ours.games()[0].coalitions == len(keys)


def test_a_fingerprint_comes_back(full):
    found = [one.fingerprint for one in Store(full).games()]
    assert found == [GAME, OTHER]
    assert Store(full).games()[0].coalitions == len(held(Store(full), GAME))


def untouched(path, before):
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def foreign(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE games (id INTEGER)")
    connection.close()


def newer(path):
    Store(path)
    data = bytearray(path.read_bytes())
    data[60:64] = (2).to_bytes(4, "big")
    path.write_bytes(data)


KINDS = {
    "it is empty": lambda path: path.write_bytes(b""),
    "it is not an SQLite file": lambda path: path.write_text("player,value\n" * 50),
    "it is an SQLite file of another program": foreign,
    "it is in version 2 of the format, and this package has 1": newer,
}


@pytest.mark.parametrize("reason", KINDS)
def test_another_file_is_refused_and_left_as_it_is(path, reason):
    KINDS[reason](path)
    before = path.read_bytes()
    with pytest.raises(InvalidValueError, match=reason):
        Store(path)
    untouched(path, before)


def test_a_short_file_a_folder_and_what_is_no_path_are_refused(path, tmp_path):
    path.write_text("hello")
    with pytest.raises(InvalidValueError, match="not an SQLite file"):
        Store(path)
    with pytest.raises(InvalidValueError, match="cannot be opened"):
        Store(tmp_path)
    with pytest.raises(InvalidValueError, match="cannot be opened"):
        Store(path / "values.db")
    with pytest.raises(InvalidTypeError, match="store is a int"):
        Store(3)


def test_a_file_that_was_cut_off_is_refused_and_left_as_it_is(full):
    whole = full.read_bytes()
    for share in (0.2, 0.5, 0.9):
        full.write_bytes(whole[: int(len(whole) * share)])
        before = full.read_bytes()
        with pytest.raises(InvalidValueError, match="damaged"):
            Store(full)
        untouched(full, before)


def test_whatever_byte_is_damaged_nothing_wrong_comes_out(full):
    whole, sound = full.read_bytes(), {game.sha256: held(Store(full), game) for game in (GAME, OTHER)}
    rng, refused = np.random.default_rng(0), 0
    for at in rng.integers(0, len(whole), 80):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        full.write_bytes(damaged)
        try:
            store = Store(full)
        except InvalidValueError:
            refused += 1
            assert full.read_bytes() == damaged
            continue
        # Of pages that are empty and of what is for nobody to read.
        assert {game.sha256: held(store, game) for game in (GAME, OTHER)} == sound
        store.close()
    assert refused > 40


def test_all_that_is_damaged_is_named(full):
    with sqlite3.connect(full) as connection:
        connection.execute("UPDATE batches SET utilities = zeroblob(length(utilities)) WHERE id IN (2, 5)")
        connection.execute("UPDATE batches SET written = 'never' WHERE id = 1")
    connection.close()
    assert faults(full) == [f"it is damaged (batch {k} is not what was written)" for k in (2, 5)]


def test_what_a_killed_process_left_beside_a_damaged_file_stays_there(path):
    store = Store(path)
    store.write(GAME, *batch(GAME, 300))
    beside = path.with_name("values.db-wal")
    copies = {one: one.read_bytes() for one in (path, beside)}
    assert len(copies[beside]) > 0
    elsewhere = path.parent / "copied"
    elsewhere.mkdir()
    for one, data in copies.items():  # as a killed process leaves them
        (elsewhere / one.name).write_bytes(data)
    assert held(Store(elsewhere / path.name), GAME) == held(store, GAME)
    assert faults(elsewhere / path.name) == []
    broken = bytearray(copies[path])
    broken[100:2000] = b"\0" * 1900
    (elsewhere / path.name).write_bytes(broken)
    (elsewhere / beside.name).write_bytes(copies[beside][:5000])
    with pytest.raises(InvalidValueError, match="damaged"):
        Store(elsewhere / path.name)
    assert (elsewhere / path.name).read_bytes() == broken
    assert (elsewhere / beside.name).read_bytes() == copies[beside][:5000]


def test_copies_and_other_processes_have_connections_of_their_own(path):
    store = Store(path)
    store.write(GAME, *batch(GAME, 20))
    for other in (pickle.loads(pickle.dumps(store)), copy.deepcopy(store)):
        assert other._connection is None
        assert held(other, GAME) == held(store, GAME)
    child = os.fork()
    assert store._connection is None, "nobody inherits one"
    if child == 0:
        store.write(GAME, *batch(GAME, 20, seed=1))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(held(store, GAME)) > len(batch(GAME, 20)[0])


def test_threads_share_a_connection(path):
    store = Store(path)
    threads = [threading.Thread(target=store.write, args=(GAME, *batch(GAME, 10, seed))) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.number for one in store.batches(GAME)] == list(range(1, 9))


def known_to(path, game=GAME):
    return StoredUtilities(Store(path), game, np.zeros(game.shape), excluding=True)


def add_each(known, batches):
    for keys, utilities in batches:
        known.add(keys, utilities)


def test_on_a_full_disk_it_goes_on_in_memory_and_catches_up(path):
    known = known_to(path)
    [(pages,)] = known._store._connected().execute("PRAGMA page_count")
    known._store._connected().execute(f"PRAGMA max_page_count = {pages + 1}")
    first, second = batch(GAME, 1500), batch(GAME, 1500, seed=1)
    with pytest.warns(
        UserWarning, match=r"cannot be written \(database or disk is full\): going on in memory"
    ) as caught:
        add_each(known, [first, second])
    assert len(caught) == 1, "it says so once"
    assert known.missing([*first[0], *second[0]]) == []
    assert held(Store(path), GAME) == {}
    known._store._connected().execute("PRAGMA max_page_count = 1000000")
    third = batch(GAME, 5, seed=2)
    known.add(*third)
    assert held(Store(path), GAME).keys() == {*first[0], *second[0], *third[0]}


def test_where_the_system_refuses_to_write_it_goes_on_in_memory(path):
    known = known_to(path)
    known.add(*batch(GAME, 3))
    before = held(Store(path), GAME)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    keys, utilities = batch(GAME, 1900, seed=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (24_000, hard))
    try:
        with pytest.warns(UserWarning, match="going on in memory"):
            add_each(known, [(keys[at : at + 100], utilities[at : at + 100]) for at in range(0, len(keys), 100)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert known.missing(keys) == []
    np.testing.assert_array_equal(known.of(keys), utilities)
    there = held(Store(path), GAME)
    assert before.keys() <= there.keys()
    assert len(there) < len(keys)
    assert faults(path) == []


@pytest.mark.parametrize("end", [Path.unlink, lambda path: path.rename(path.with_name("moved.db"))])
def test_where_the_file_is_gone_it_goes_on_in_memory_and_says_so(path, end):
    known, first, second = known_to(path), batch(GAME, 5), batch(GAME, 5, seed=1)
    known.add(*first)
    end(path)
    with pytest.warns(UserWarning, match=r"cannot be written \(the file is gone\): going on in memory") as caught:
        add_each(known, [second, batch(GAME, 5, seed=2)])
    assert len(caught) == 1
    assert known.missing([*first[0], *second[0]]) == []
    assert not path.exists()


def test_where_another_store_took_the_place_nothing_is_lost(path):
    known = known_to(path)
    known.add(*batch(GAME, 5))
    for one in path.parent.iterdir():
        one.unlink()
    other = Store(path)
    with pytest.warns(UserWarning, match="the file is gone"):
        known.add(*batch(GAME, 5, seed=1))
    known.add(*batch(GAME, 5, seed=2))
    assert held(other, GAME).keys() == {*batch(GAME, 5, seed=1)[0], *batch(GAME, 5, seed=2)[0]}


def test_where_it_cannot_be_read_any_more_it_goes_on_in_memory(path):
    known = known_to(path)
    other = Store(path)
    other.write(GAME, *batch(GAME, 30))
    other._connected().execute("UPDATE batches SET utilities = zeroblob(length(utilities))")
    keys, _ = batch(GAME, 30)
    with pytest.warns(UserWarning, match=r"cannot be read \(batch 1 is not what was written\): going on in memory"):
        assert known.missing(keys) == keys


def test_what_another_one_writes_is_known_when_it_is_asked_for(path):
    one, two = known_to(path), known_to(path)
    for seed in range(4):
        writer, reader = (one, two) if seed % 2 else (two, one)
        keys, utilities = batch(GAME, 20, seed)
        new = writer.missing(keys)
        writer.add(new, np.array([utilities[keys.index(key)] for key in new]))
        assert reader.missing(keys) == []
        assert reader.of(keys).tobytes() == utilities.tobytes()
    assert len(one) == len(two)
    assert one.all()[1].tobytes() != b""


def test_it_is_made_whole_by_whoever_comes_first(path, monkeypatch):
    plain = Path.hardlink_to

    def late(self, target):
        Store(path).write(GAME, *batch(GAME, 5))
        monkeypatch.setattr(Path, "hardlink_to", plain)
        return plain(self, target)

    def first(self, target):
        monkeypatch.setattr(Path, "hardlink_to", plain)
        return late(self, target)

    monkeypatch.setattr(Path, "hardlink_to", first)
    assert len(held(Store(path), GAME)) == len(batch(GAME, 5)[0])
