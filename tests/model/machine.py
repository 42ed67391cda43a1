"""Random programs of sessions that name files, and the model that judges them after each step.

The model is small, as the database and the storage say themselves what is there: a committed row names no file that is
missing or has other bytes; what is not committed changes no committed row; and when all has ended, no file is left
that no row names. What the documentation says is not seen to is excused, and nothing else.
"""

import sys
from collections import ChainMap, Counter
from functools import wraps
from itertools import chain
from typing import ClassVar

from hypothesis import strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.naming import unique_key
from tests.model import people
from tests.model.people import LISTS, PLACES, STATEMENTS, TEXTS, Person, Row, is_refusal
from tests.support.ledgers import pass_time
from tests.support.tracked import Book, Loan, pending

_NUMBER = strategies.integers(0, 2)


def _few(all_, key):
    """Some of them that a program has to do with: so its steps meet."""
    few = strategies.lists(strategies.sampled_from(all_), min_size=2, max_size=3, unique=True)
    return strategies.shared(few, key=key)


def _some(all_, key):
    return _few(all_, key).flatmap(strategies.sampled_from)


_WHO = _some([0, 1, 2], "who")
_PLACE = _some(PLACES, "places")
_LIST = _some(LISTS, "lists")
_BEGINNING = strategies.tuples(_few(PLACES, "places"), _few(LISTS, "lists"))
_ROW = strategies.one_of(_PLACE, _LIST).map(lambda place: Row(place.class_, place.id))
_SHELVED = _PLACE.map(lambda place: Row(place.class_, place.id))
_THEN = strategies.sampled_from(["", "flush", "commit", "commit"])
_NEW = strategies.sampled_from(["pending", "again", "saved"])
_STORED = strategies.one_of(
    *(strategies.just(each) for each in (None, "saved", "uploaded")),
    *(strategies.tuples(strategies.just(each), _NUMBER) for each in ("named", "unnamed", "gone")),
)
_VALUE = strategies.one_of(_NEW, _STORED)
_FILE = _VALUE.filter(lambda value: value is not None)


class Finding(AssertionError):
    """Something that must not be."""


class Lost(Finding):
    """A committed row names a missing file."""


class OtherBytes(Finding):
    """A committed row names a file with other bytes than were put in, or another file."""


class Leaked(Finding):
    """A file that no committed row names is left."""


class Changed(Finding):
    """Committed rows changed although nothing was committed."""


class Held(Finding):
    """Transactions have ended, and their files are still known as those of open ones, so that nobody removes them."""


class Unexpected(Finding):
    """An error that nothing documents."""


def step(**arguments):
    """A rule that works with a session, in the world's event loop, and is judged."""

    def decorate(work):
        @rule(who=_WHO, **arguments)
        @wraps(work)
        def run(self, who, **chosen):
            if work.__name__ in self.without:
                return
            self._take(work, self.people[who], chosen)

        return run

    return decorate


class Programs(RuleBasedStateMachine):
    """One program.

    Attributes:
        world: Where it runs; a subclass has it.
        without: The names of steps that do nothing.
        begun: How many programs were begun.
        taken: How often each step was taken, and how often refused with which error.
    """

    world = None
    without = frozenset()
    begun: ClassVar = Counter()
    taken: ClassVar = Counter()

    def __init__(self):
        super().__init__()
        self.begun["programs"] += 1
        self.world.clear()
        sessions = [self.world.sessions(expire_on_commit=number != 1) for number in range(3)]
        self.people = [Person.with_session(each) for each in sessions]
        self._trace = []
        self.named = {}
        self.count = 0
        self.pending = []
        self.known = []
        self.lost = set()
        self.left = set()
        self.loose = set()
        self.plain = set()
        self.kept = set()

    @initialize(places=_BEGINNING, what=strategies.sampled_from(["own files", "one file", "one file", "no files"]))
    def begin(self, places, what):
        """Some rows are there, which name a file of their own each, or all the same."""
        self._take(Programs._begin, self.people[0], {"places": [*chain(*places)], "what": what})

    async def _begin(self, person, places, what):
        if what == "no files":
            return
        file = await self._value("saved")
        for place in places:
            is_list = place in LISTS
            await person.run(people.put, place, [file] if is_list else file)
            if what == "own files":
                file = await self._value("saved")
        await self._then(person, "commit")

    # ---- objects

    @step(place=_PLACE, value=_VALUE, then=_THEN)
    async def put(self, person, place, value, then):
        made = await self._value(value)
        is_there = await person.run(people.put, place, made)
        if value in {"pending", "again", "saved"} and is_there:
            person.written[-1][place.name] = getattr(made, "filename", None)
        else:
            self._expect_nothing(person)
        await self._then(person, then)

    @step(row=_ROW, then=_THEN)
    async def remove(self, person, row, then):
        self._expect_nothing(person)
        await person.run(people.remove, *row)
        await self._then(person, then)

    @step(
        what=strategies.sampled_from(["move", "swap"]),
        source=_PLACE,
        to=_PLACE,
        flushes=strategies.booleans(),
        then=_THEN,
    )
    async def move(self, person, what, source, to, flushes, then):
        self._expect_nothing(person)
        await person.run(getattr(people, what), source, to, in_two_flushes=flushes)
        await self._then(person, then)

    @step(source=_PLACE, to=_PLACE, then=_THEN)
    async def copy(self, person, source, to, then):
        self._expect_nothing(person)
        await person.run(people.copy, source, to)
        await self._then(person, then)

    @step(place=_PLACE, value=_STORED, then=_THEN)
    async def merge(self, person, place, value, then):
        self._expect_nothing(person)
        await person.run(people.merge, place, await self._value(value))
        await self._then(person, then)

    @step(
        place=_PLACE,
        what=strategies.sampled_from(["expire", "expire attribute", "refresh", "expunge", "add again"]),
        then=_THEN,
    )
    async def change_state(self, person, place, what, then):
        """Of an object; those that a transaction which failed has left in memory are added once more."""
        self._expect_nothing(person)
        await person.run(people.change_state, place, what)
        await self._then(person, then)

    @step(shelved=_SHELVED, what=strategies.sampled_from(["shelve", "take off"]), then=_THEN)
    async def shelve(self, person, shelved, what, then):
        self._expect_nothing(person)
        if what == "shelve":
            await person.run(people.shelve, 1, *shelved)
        else:
            await person.run(people.take_off, 1)
        await self._then(person, then)

    # ---- lists

    @step(place=_LIST, what=strategies.sampled_from(["assign", *people.LIST_CHANGES]), value=_FILE, then=_THEN)
    async def change_list(self, person, place, what, value, then):
        self._expect_nothing(person)
        made = await self._value(value)
        if made is not None:
            await person.run(people.change_list, place, what, made)
        await self._then(person, then)

    @step(place=_LIST, source=_PLACE, then=_THEN)
    async def list_from(self, person, place, source, then):
        self._expect_nothing(person)
        await person.run(people.list_from, place, source)
        await self._then(person, then)

    # ---- statements

    @step(
        place=_PLACE,
        criteria=strategies.sampled_from(list(people.CRITERIA)),
        value=_STORED,
        returning=strategies.booleans(),
        then=_THEN,
    )
    async def bulk_update(self, person, place, criteria, value, returning, then):
        self._expect_nothing(person)
        made = await self._value(value)
        self._keep(place, made)
        await people.bulk_update(person.session, place, criteria, made, returning=returning)
        await self._then(person, then)

    @step(
        place=_PLACE,
        criteria=strategies.sampled_from(list(people.CRITERIA)),
        returning=strategies.booleans(),
        then=_THEN,
    )
    async def bulk_delete(self, person, place, criteria, returning, then):
        self._expect_nothing(person)
        await people.bulk_delete(person.session, place, criteria, returning=returning)
        await self._then(person, then)

    @step(place=_PLACE, what=strategies.sampled_from(list(STATEMENTS)), value=_STORED, then=_THEN)
    async def statement(self, person, place, what, value, then):
        self._expect_nothing(person)
        made = await self._value(value)
        self._keep(place, made)
        before = await self.world.seen_by(person.session)
        await STATEMENTS[what](person.session, place, made)
        after = await self.world.seen_by(person.session)
        places = [each for each in before if what != "delete shelf" or each[0].startswith("loans")]
        person.dropped |= {id_ for each in places for id_ in before[each] if id_ not in after.get(each, ())}
        if what in TEXTS:
            person.unseen |= {id_ for each in after for id_ in after[each] if id_ not in before.get(each, ())}
        await self._then(person, then)

    # ---- transactions

    @step(what=strategies.sampled_from(["flush", "begin nested", "release", "roll back savepoint"]))
    async def savepoint(self, person, what):
        await getattr(person, what.replace(" ", "_"))()

    @step(what=strategies.sampled_from(["commit", "commit", "roll back", "close", "violate"]))
    async def end(self, person, what):
        if what == "commit":
            await self._then(person, what)
        elif what == "violate":
            await person.run(people.violate, await self._value("again"))
        elif what == "roll back":
            await person.start_again()
        else:
            await person.session.close()
            person.forget()

    # ---- others

    @step(
        place=_PLACE,
        what=strategies.sampled_from(["share", "share and delete", "move", "clear", "delete"]),
        number=_NUMBER,
    )
    async def untracked(self, person, place, what, number):
        """A program that knows nothing of tracking changes rows and commits, all in one step."""
        name = self._of(self._named, number)
        async with self.world.untracked() as session:
            row = await session.get(place.class_, place.id)
            if what in {"clear", "delete"} and row is None:
                return
            if what == "delete":
                await session.delete(row)
            elif what == "clear":
                setattr(row, place.attribute, None)
            else:
                await self._share(session, place, row, name, what)
            await session.commit()
            self._committers.append(None)

    async def _share(self, session, place, row, name, what):
        if row is None:
            session.add(row := place.class_(id=place.id))
        setattr(row, place.attribute, name)
        for class_ in (Book, Loan) if what != "share" and name is not None else ():
            for id_ in (1, 2, 3):
                other = await session.get(class_, id_)
                if other is not None and other is not row and other.file is not None and other.file.file_id == name:
                    if what == "move":
                        other.file = None
                    else:
                        await session.delete(other)

    @rule(operation=strategies.sampled_from(["write", "delete"]), number=strategies.integers(1, 2))
    def fail(self, operation, number):
        """The storage fails at the next operation, or at that after it."""
        self.world.storage.failing[operation] = number

    def teardown(self):
        is_failing = sys.exception() is not None
        self.world.storage.failing.clear()
        try:
            for person in self.people:
                self.world.run(person.session.close())
            if not is_failing:
                self._end()
        finally:
            super().teardown()

    # ---- how a step is taken

    def _take(self, work, person, chosen):
        self._step, self._committers = work.__name__, []
        self._trace.append(f"  {work.__name__}, {self.people.index(person)}: {chosen}")
        present = set(self.world.storage.contents)
        self.world.run(self._work(work, person, chosen))
        now = self.world.committed()
        for each in self._committers:
            self._note_commit(each, now)
        self._excuse_races(person, present - set(self.world.storage.contents), now)
        self._judge(now)

    async def _work(self, work, person, chosen):
        try:
            await work(self, person, **chosen)
        except Exception as error:
            if not is_refusal(error):
                raise self._found(Unexpected, f"{type(error).__name__}: {error}") from error
            self.taken[f"{self._step}: {type(error).__name__}"] += 1
            await person.start_again()
        else:
            self.taken[self._step] += 1

    async def _then(self, person, then):
        if then == "flush":
            await person.flush()
        if then == "commit":
            await person.commit()
            self._committers.append(person)

    async def _value(self, value):
        """Values for a row: content, a file object, an id, or None."""
        if isinstance(value, tuple):
            return self._of(getattr(self, f"_{value[0]}"), value[1])
        if value is None:
            return None
        if value == "again" and self.pending:
            return self.pending[-1]
        self.count += 1
        name = f"file{self.count}"
        if value == "saved":
            stored = await self.world.storage.save(name.encode(), name)
            self.known.append(stored.file_id)
            self.loose.add(stored.file_id)
            return stored
        if value == "uploaded":
            key = await self.world.storage.upload(name.encode(), unique_key(name))
            self.known.append(f"mem:{key}")
            self.plain.add(f"mem:{key}")
            return key
        self.pending.append(pending(name))
        return self.pending[-1]

    @property
    def _named(self):
        return sorted(_ids(self.named))

    @property
    def _unnamed(self):
        return [id_ for id_ in self.known if id_ not in _ids(self.named) and id_ in self.world.storage.contents]

    @property
    def _gone(self):
        return [id_ for id_ in self.known if id_ not in self.world.storage.contents]

    def _of(self, ids, number):
        return ids[-1 - number % len(ids)] if ids else None

    def _keep(self, place, made):
        if place.attribute == "kept" and made is not None:
            self.kept.add(str(self.world.storage.identify(made)) if isinstance(made, str) else made.file_id)

    def _expect_nothing(self, person):
        for each in person.written:
            each.clear()

    # ---- what is excused

    def _note_commit(self, person, now):
        """Somebody has committed: a person, or None, who is not tracked and leaves behind what he drops."""
        gone = _ids(self.named) - _ids(now)
        if person is None:
            self.left |= gone
            return
        self.left |= gone & person.dropped
        self.left -= gone - person.dropped
        self._check_written(person, now)
        person.forget()

    def _check_written(self, person, now):
        contents = self.world.storage.contents
        for place, name in ChainMap(*reversed(person.written)).items():
            ids = now.get(place, ())
            if [contents.get(id_) for id_ in ids] != [name.encode()]:
                raise self._found(OtherBytes, f"{place} was to name {name}, and names {ids}")

    def _excuse_races(self, person, vanished, now):
        """Nobody sees rows that are not committed yet.

        If statements that no session understands give such a row a file, it may be removed meanwhile. Without a
        ledger: if two drop the last two names of a file at once, each sees the other's.
        """
        if not (vanished or self._committers):
            return
        for other in self.people:
            if other is person or not other.session.in_transaction():
                continue
            self.lost |= vanished & other.unseen
            if self._committers and self.world.ledger is None:
                theirs = self.world.run(self.world.seen_by(other.session))
                self.left |= _changed(self.named, now) & _changed(now, theirs)

    # ---- judgement

    def _judge(self, now):
        """Look at the files of committed rows, and compare these with those before the step."""
        contents = self.world.storage.contents
        if now != self.named and not self._committers:
            raise self._found(Changed, f"{self.named} became {now}")
        self._note(now)
        for place, id_ in [(place, id_) for place, ids in now.items() for id_ in ids]:
            if id_ not in contents:
                if id_ not in self.lost:
                    raise self._found(Lost, f"{place} names {id_}, which is missing")
            elif contents[id_].decode() != id_.rpartition("_")[2]:
                raise self._found(OtherBytes, f"{place} names {id_}, which holds {contents[id_]!r}")
        self.named = now

    def _note(self, now):
        for place, ids in now.items():
            self.known += [id_ for id_ in ids if id_ not in self.known]
            self.loose.difference_update(ids)
            self.plain.difference_update(ids)
            if place[0].endswith(".kept"):
                self.kept.update(ids)

    def _end(self):
        """All sessions have ended; a ledger's worker has done what it can."""
        self._step, self._committers = "the end", []
        self.world.run(self.world.settle())
        self._judge(self.world.committed())
        for person in self.people:
            self.loose -= person.flushed
            self.kept |= person.kept
        excused = self.left | self.loose | self.plain | self.kept
        if self.world.ledger is None:  # where the database cannot be asked the file stays, and the log says so
            present = self.world.storage.contents
            told = {id_ for id_ in present if any(repr(id_) in line for line in self.world.log)}
            excused |= told | self.world.storage.undeleted
        held = {file.file_id for file in files_in_use.files_in_use()}
        if held:
            raise self._found(Held, f"{sorted(held)}")
        leaked = set(self.world.storage.contents) - _ids(self.named) - excused
        if leaked:
            raise self._found(Leaked, f"{sorted(leaked)} that no row names")

    def _found(self, kind, text):
        return kind("\n".join([f"{text}; after: {self._step}", *self._trace, *self.world.log]))


class LedgerPrograms(Programs):
    """With a worker."""

    @step(what=strategies.sampled_from(["drain", "sweep", "time"]))
    async def work(self, person, what):
        """A ledger's worker does something, or it is an hour later."""
        if what == "drain":
            await self.world.ledger.drain()
        elif what == "sweep":
            await self.world.sweep()
        else:
            await pass_time(self.world.ledger)


def _ids(places):
    return set(chain.from_iterable(places.values()))


def _changed(before, after):
    """The ids that another number of places names."""
    counts = [list(chain.from_iterable(each.values())) for each in (before, after)]
    return {id_ for id_ in {*counts[0], *counts[1]} if counts[0].count(id_) != counts[1].count(id_)}
