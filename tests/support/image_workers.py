"""An engine for tests of the pool: it does what the name of the original says, and tells its process id."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from async_storages.imaging.engines import Pixels
from tests.support.patience import HANGS


@dataclass(frozen=True, slots=True)
class TellingEngine:
    """Writes its process id into the pipe `pid` beside an original, if it is there, before anything else."""

    def make(self, original, target, recipe, limits):
        told = original.path.with_name("pid")
        if told.exists():
            told.write_text(str(os.getpid()))
        size = recipe.size_of(original.size).dimensions
        ACTIONS[original.path.stem](target)
        Image.new("RGB", size).save(target, recipe.format_for(original.content_type).name)

    def shrink(self, original, side, limits):
        return Pixels(1, 1, bytes(4))


def hang(target: Path) -> None:
    target.write_bytes(b"half an image")
    while True:
        time.sleep(60)


def spin(target: Path) -> None:
    target.write_bytes(b"half an image")
    while True:
        pass


def die(target: Path) -> None:
    target.write_bytes(b"half an image")
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(target: Path) -> None:
    os._exit(3)


def be_greedy(target: Path) -> None:
    target.write_bytes(b"half an image")
    bytearray(4 << 30)


def fail(target: Path) -> None:
    target.write_bytes(b"half an image")
    raise KeyError("what nobody expects")


def miss(target: Path) -> None:
    raise ImportError('this needs Pillow: run  pip install "sqlalchemy-async-storages[images]"')


def talk(target: Path) -> None:
    sys.stdout.write("a library says something on its standard output\n")
    os.write(1, b"so does its C part\n")
    sys.stdout.flush()


def tell_environment(target: Path) -> None:
    target.with_name("environment").write_text("\n".join(os.environ))


def lie(target: Path) -> None:
    Image.new("RGB", (3, 3)).save(target, "png")
    Image.Image.save = lambda *arguments: None


def work(target: Path) -> None:
    with target.with_name("workers").open("a") as file:
        file.write(f"{os.getpid()}\n")


ACTIONS = {
    "hang": hang,
    "spin": spin,
    "die": die,
    "leave": leave,
    "greedy": be_greedy,
    "fail": fail,
    "miss": miss,
    "talk": talk,
    "environment": tell_environment,
    "lie": lie,
    "work": work,
}


def has_gone(pid: int) -> bool:
    """True once the process has ended, within a time."""
    deadline = time.monotonic() + HANGS
    while time.monotonic() < deadline:
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():  # of a parent that is not there to ask
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False
