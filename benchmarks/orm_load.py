"""Loading 100,000 rows through the ORM, with a column of each type, in one process and interleaved."""

import gc
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import String, create_engine, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from async_storages import MemoryStorage
from async_storages.integrations.sqlalchemy import FileType, ImageType
from benchmarks import Figure, Goal

ROWS = 100_000
ROUNDS = 9
GOAL = 1.15  # times String
storage = MemoryStorage()


class Base(DeclarativeBase):
    pass


class AsString(Base):
    __tablename__ = "as_string"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[Any] = mapped_column(String(1024))


class AsFile(Base):
    __tablename__ = "as_file"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[Any] = mapped_column(FileType(storage))


class AsImage(Base):
    __tablename__ = "as_image"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[Any] = mapped_column(ImageType(storage))


def load(session: Session, model: type[Base]) -> float:
    gc.collect()
    gc.disable()  # how long its passes take depends on whatever else was imported
    started = time.perf_counter()
    count = loaded(session, model)
    took = time.perf_counter() - started
    gc.enable()
    assert count == ROWS
    session.expunge_all()
    return took


def loaded(session: Session, model: type[Base]) -> int:
    """How many rows there are."""
    return len(session.scalars(select(model)).all())


def measure() -> Iterator[Figure]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    models = {"String": AsString, "FileType": AsFile, "ImageType": AsImage}
    with Session(engine) as session:
        for model in models.values():
            rows = [{"file": f"mem:documents/{n:08x}_report.pdf"} for n in range(ROWS)]
            session.execute(insert(model), rows)
        session.commit()
        names = list(models)
        # each goes first as often as the others, as the garbage collector favours whoever does
        orders = [names[turn % 3 :] + names[: turn % 3] for turn in range(ROUNDS)]
        runs = [{name: load(session, models[name]) for name in order} for order in orders]
    best = {name: min(run[name] for run in runs) for name in models}
    for name in ("FileType", "ImageType"):
        what = f"ORM load of 100,000 rows, {name}"
        yield Figure(what, "ms", 1000 * best[name], {"String": 1000 * best["String"]}, (Goal(1 / GOAL, "String"),))
