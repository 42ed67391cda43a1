"""Where S3's access key comes from: given, or found by boto3 as every AWS tool finds it."""

import asyncio
import inspect
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol

from async_storages._secrets import hidden
from async_storages._tasks import offload
from async_storages.backends.s3.configured_endpoint import endpoint_of_profile
from async_storages.backends.s3.sigv4 import Credentials
from async_storages.errors import AccessDeniedException, InvalidArgumentException

__all__ = ["CredentialSource", "FoundCredentials", "StaticCredentials", "credential_source", "import_boto3"]

_URGENT = 10 * 60
"""Seconds before their end in which new credentials are waited for; boto3 begins to ask for them 15 minutes before."""


_VERBATIM_LOGGERS = ("botocore.auth", "botocore.endpoint", "botocore.parsers")
"""Those that log at DEBUG what is sent and answered, secrets included."""


class CredentialSource(Protocol):
    """Gives the credentials of the moment.

    Attributes:
        region: The region that goes with them, once it is known.
        endpoint_url: The server that their profile names, once it was read.
    """

    region: str | None
    endpoint_url: str | None

    def at_hand(self) -> Credentials:
        """Those that are known; no I/O.

        Raises:
            InvalidArgumentException: None are, or they have expired: `resolve` first.
        """
        ...

    def expire_within(self, seconds: float) -> bool:
        """Whether those at hand are known to end before; no I/O."""
        ...

    async def resolve(self) -> None:
        """Make sure that what is at hand is there and fresh.

        Raises:
            AccessDeniedException: None can be found.
        """
        ...


class StaticCredentials:
    """Credentials that were given; never any I/O, so no profile's region and server either."""

    def __init__(self, credentials: Credentials) -> None:
        self.region = _region_of_environment()
        self.endpoint_url: str | None = None
        self._credentials = credentials

    def at_hand(self) -> Credentials:
        """The given ones."""
        return self._credentials

    def expire_within(self, seconds: float) -> bool:
        """False: nobody knows when they end."""
        return False

    async def resolve(self) -> None:
        """Nothing is left to resolve."""


class FoundCredentials:
    """Credentials from the environment, a profile, SSO, web identity or instance metadata, refreshed in time.

    Finding them reads files and asks servers, so it is done in a thread, and by one at a time.

    Args:
        session: A `boto3.Session` or `aioboto3.Session` of the user's; by default one is made when it is needed.
        profile_name: The profile of the session that is made; by default ``AWS_PROFILE``, else ``default``.
    """

    def __init__(self, session: Any = None, profile_name: str | None = None) -> None:
        self.region = _region_of_environment() if session is None else None
        self.endpoint_url: str | None = None
        self._session = session
        self._profile_name = profile_name
        self._provider: Any = None
        self._credentials: Credentials | None = None
        self._lock = threading.Lock()

    def at_hand(self) -> Credentials:
        """Those found last."""
        if self._credentials is None or self._expires_within(0):
            raise InvalidArgumentException(
                "the credentials are not known yet, or have expired: `await storage.prepare()` first"
            )
        return self._credentials

    async def resolve(self) -> None:
        """Ask where they come from, the first time and when they are about to expire."""
        if self._credentials is None or self._expires_within(None):
            await offload(self._ask)

    def expire_within(self, seconds: float) -> bool:
        """Whether those found last end before."""
        return self._expires_within(seconds)

    def _expires_within(self, seconds: float | None) -> bool:
        """Whether they do; None is for when boto3 would begin to ask for new ones."""
        # a method of those that expire only; it looks at the clock and does no I/O
        needs_refresh = getattr(self._provider, "refresh_needed", None)
        return needs_refresh is not None and bool(needs_refresh(seconds))

    def _ask(self) -> None:
        is_urgent = self._credentials is None or self._expires_within(_URGENT)
        if not self._lock.acquire(blocking=is_urgent):
            return  # somebody asks, and what is at hand will do until then
        try:
            if self._credentials is None or self._expires_within(None):
                self._find()
        finally:
            self._lock.release()

    def _find(self) -> None:
        with _botocore_errors(), _discreet():
            if self._session is None:
                self._session = import_boto3().Session(profile_name=self._profile_name)
            if self._provider is None:
                self.endpoint_url = endpoint_of_profile(self._session._session)  # noqa: SLF001 - boto3 gives no other way
                self._provider = _finished(self._session.get_credentials())
            if self._provider is None:
                raise AccessDeniedException(
                    "no AWS credentials: give aws_access_key_id and aws_secret_access_key, or set up the environment, "
                    "a profile or a role"
                )
            frozen = _finished(self._provider.get_frozen_credentials())
        self.region = self.region or self._session.region_name or _region_of_environment()
        self._credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def credential_source(
    key_id: str | None, secret: str | None, token: str | None, session: Any, profile_name: str | None
) -> CredentialSource:
    """The credentials that a user chose, as for `S3Storage`.

    Args:
        key_id: The access key; None to find one.
        secret: Its secret.
        token: For temporary credentials.
        session: A `boto3.Session` or `aioboto3.Session` to take credentials from.
        profile_name: The profile to take them from.

    Raises:
        InvalidArgumentException: These do not go together.
    """
    secret, token = hidden(secret), hidden(token)
    if (key_id is None) != (secret is None) or (token is not None and key_id is None):
        raise InvalidArgumentException("aws_access_key_id and aws_secret_access_key go together")
    if (key_id is not None) + (session is not None) + (profile_name is not None) > 1:
        raise InvalidArgumentException("either an access key, a session or a profile_name: there can be but one")
    if key_id is None or secret is None:
        return FoundCredentials(session, profile_name)
    return StaticCredentials(Credentials(key_id, secret, token))


def _region_of_environment() -> str | None:
    """The region that AWS's own tools take, of which boto3 reads the second variable only."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


@contextmanager
def _botocore_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("botocore.", "aiobotocore.")):
            raise
        raise AccessDeniedException(f"no AWS credentials: {type(error).__name__}") from error


@contextmanager
def _discreet() -> Iterator[None]:
    """Keep botocore from logging the credentials that it is given."""

    def is_harmless(record: logging.LogRecord) -> bool:
        return record.levelno > logging.DEBUG

    loggers = [logging.getLogger(name) for name in _VERBATIM_LOGGERS]
    for logger in loggers:
        logger.addFilter(is_harmless)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_harmless)


def _finished(result: Any) -> Any:
    """The result itself; that of aioboto3, a coroutine that reads files now and then, in a loop it may block."""
    if not inspect.iscoroutine(result):
        return result
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, result).result()


def import_boto3() -> Any:
    """boto3, which takes 0.3 s to import: call it in a thread.

    Raises:
        ImportError: It is not installed; the message says how.
    """
    try:
        return import_module("boto3")
    except ModuleNotFoundError as error:
        raise ImportError('this needs boto3: run  pip install "sqlalchemy-async-storages[s3]"') from error
