"""All that becomes visible of what a storage does: whoever reads it may learn no secret."""

import asyncio
import itertools
import logging
import traceback
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.pretty import pretty_repr
from rich.traceback import Traceback

import async_storages
from async_storages import events
from async_storages.testing.contract.cancellation import cancelled_at
from async_storages.testing.contract.operations import FIVE, uses_of

PACKAGE = str(Path(async_storages.__file__).parent)
TESTS = (str(Path(__file__).parents[1]), f"{PACKAGE}/testing/")


class Shown(logging.Handler):
    """Log records and what is attached to them, events, errors and what led to them."""

    def __init__(self):
        super().__init__(level=1)
        self.texts = []

    def emit(self, record):
        self.texts += [self.format(record), repr(vars(record))]

    def add(self, *values):
        self.texts += [shown for value in values for shown in (repr(value), str(value))]

    def add_error(self, error):
        self.texts += traceback.format_exception(error)
        self.texts += _with_locals(error)
        while error is not None:
            self.add(error, vars(error))
            self.texts += _values_in_frames(error)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

    def lacks(self, secrets):
        """Whether none of them is to be seen."""
        everything = "\n".join(self.texts)
        assert "_SelectorSocketTransport" in everything  # asyncio, too, says what it can
        found = self.shown_with(secrets)
        assert not found, "\n".join(["a secret is shown:", *found])
        return True

    def shown_with(self, secrets):
        """The beginnings of the texts that hold one of them."""
        return sorted({text[:150] for text in self.texts for secret in secrets if secret in text})


def _values_in_frames(error):
    """As Sentry takes them: the repr of every variable, of the frames of the package and of those that it calls."""
    frames = [frame for frame, _line in traceback.walk_tb(error.__traceback__)]
    ours = itertools.dropwhile(lambda frame: not frame.f_code.co_filename.startswith(PACKAGE), frames)
    shown = (frame for frame in ours if not frame.f_code.co_filename.startswith(TESTS))
    return [
        f"{frame.f_code.co_qualname}: {name} = {pretty_repr(value, max_length=30, max_depth=5)}"
        for frame in shown
        for name, value in frame.f_locals.items()
    ]


def _with_locals(error):
    """As rich shows it with `show_locals`, again without the frames of tests."""
    made = Traceback.extract(
        type(error), error, error.__traceback__, show_locals=True, locals_hide_sunder=False, locals_hide_dunder=False
    )
    return [
        f"{frame.name} of {frame.filename} (rich): {name} = {node}"
        for stack in made.stacks
        for frame in stack.frames
        if not frame.filename.startswith(TESTS)
        for name, node in (frame.locals or {}).items()
    ]


@contextmanager
def everything_shown():
    """All loggers, and the running loop, at their most talkative."""
    shown, loop = Shown(), asyncio.get_running_loop()
    root = logging.getLogger()
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    with pytest.MonkeyPatch.context() as patch:
        for logger in (root, *loggers):
            patch.setattr(logger, "level", 1)
            patch.setattr(logger, "disabled", False)
            patch.setattr(logger, "_cache", {})
        patch.setattr(events, "hooks", [shown.add, events.log])
        root.addHandler(shown)
        loop.set_debug(True)
        loop.slow_callback_duration = 0
        yield shown
        root.removeHandler(shown)


async def use_all(storage, shown):
    """Try all there is to try, and show all there is to show."""
    admin = storage.bucket_admin
    calls = [
        *((lambda use=use: use.call(storage, "file.txt")) for use in (await uses_of(storage)).values()),
        lambda: storage.upload(bytes(1 << 19), "large.bin"),
        lambda: storage.upload(FIVE, "new.txt", overwrite=False),
        lambda: storage.presign_post("form.txt"),
        *(admin.exists, admin.create, lambda: admin.expire("", days=1), lambda: admin.allow_origins(["*"])),
        lambda: cancelled_at(4, storage.upload(FIVE, "cancelled.txt")),
    ]
    for outcome in await asyncio.gather(*(call() for call in calls), return_exceptions=True):
        if isinstance(outcome, BaseException):
            shown.add_error(outcome)
        else:
            shown.add(outcome)
    client = storage._client
    shown.add(storage, client, client.wire, storage._credentials, admin, storage.file("file.txt"))
