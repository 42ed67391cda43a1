"""Credentials of S3: given by the user, or found by boto3 as every AWS tool finds them."""

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
from async_storages.backends.s3.endpoint import endpoint_of_profile
from async_storages.backends.s3.sigv4 import Credentials
from async_storages.errors import AccessDeniedException, InvalidArgumentException

__all__ = ["CredentialSource", "FoundCredentials", "StaticCredentials", "credential_source", "import_boto3"]

_URGENT = 10 * 60
"""Seconds before expiry in which requests wait for new credentials. boto3 requests them 15 minutes before expiry."""


_VERBATIM_LOGGERS = ("botocore.auth", "botocore.endpoint", "botocore.parsers")
"""Loggers that log requests and answers at DEBUG, with secrets."""


class CredentialSource(Protocol):
    """A source of credentials.

    Attributes:
        region: The region of the credentials. None until it is known.
        endpoint_url: The server in the profile of the credentials. None until it is read.
    """

    region: str | None
    endpoint_url: str | None

    def at_hand(self) -> Credentials:
        """Return the current credentials, without I/O.

        Raises:
            InvalidArgumentException: The credentials are not known yet, or have expired. Call `resolve` first.
        """
        ...

    def expire_within(self, seconds: float) -> bool:
        """Return True if the current credentials are known to expire within this number of seconds, without I/O."""
        ...

    async def resolve(self) -> None:
        """Find the credentials, or renew them before they expire.

        Raises:
            AccessDeniedException: There are no credentials.
        """
        ...


class StaticCredentials:
    """Credentials from the user. They need no I/O. They have no profile, and so no region and server."""

    def __init__(self, credentials: Credentials) -> None:
        self.region = _region_of_environment()
        self.endpoint_url: str | None = None
        self._credentials = credentials

    def at_hand(self) -> Credentials:
        """Return the given credentials."""
        return self._credentials

    def expire_within(self, seconds: float) -> bool:
        """Return False: the expiry is not known."""
        return False

    async def resolve(self) -> None:
        """Do nothing. The credentials are known."""


class FoundCredentials:
    """Credentials from the environment, a profile, SSO, web identity or instance metadata. They are renewed in time.

    The search reads files and sends requests, so it runs in a thread, one search at a time.

    Args:
        session: The user's `boto3.Session` or `aioboto3.Session`. None makes one on first use.
        profile_name: The profile of that session. None uses ``AWS_PROFILE``, or else ``default``.
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
        """Return the credentials that were found last."""
        if self._credentials is None or self._expires_within(0):
            raise InvalidArgumentException(
                "the credentials are not known yet, or have expired: `await storage.prepare()` first"
            )
        return self._credentials

    async def resolve(self) -> None:
        """Find the credentials the first time, and again when they are about to expire."""
        if self._credentials is None or self._expires_within(None):
            await offload(self._ask)

    def expire_within(self, seconds: float) -> bool:
        """Return True if the credentials that were found last expire within this number of seconds."""
        return self._expires_within(seconds)

    def _expires_within(self, seconds: float | None) -> bool:
        """Return True if they expire within this number of seconds. None uses boto3's own time of renewal."""
        # only credentials that expire have this method; it looks at the clock and does no I/O
        needs_refresh = getattr(self._provider, "refresh_needed", None)
        return needs_refresh is not None and bool(needs_refresh(seconds))

    def _ask(self) -> None:
        is_urgent = self._credentials is None or self._expires_within(_URGENT)
        if not self._lock.acquire(blocking=is_urgent):
            return  # another thread asks; the current credentials are still good
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
    """Return the source of the credentials for the arguments of `S3Storage`.

    Args:
        key_id: The access key. None finds one.
        secret: The secret access key.
        token: The session token of temporary credentials.
        session: A `boto3.Session` or `aioboto3.Session` with credentials.
        profile_name: The profile with the credentials.

    Raises:
        InvalidArgumentException: The arguments contradict each other.
    """
    secret, token = hidden(secret), hidden(token)
    if (key_id is None) != (secret is None) or (token is not None and key_id is None):
        raise InvalidArgumentException("aws_access_key_id and aws_secret_access_key go together: give both, or neither")
    if (key_id is not None) + (session is not None) + (profile_name is not None) > 1:
        raise InvalidArgumentException(
            "an access key, a session and a profile_name exclude each other: give one of them"
        )
    if key_id is None or secret is None:
        return FoundCredentials(session, profile_name)
    return StaticCredentials(Credentials(key_id, secret, token))


def _region_of_environment() -> str | None:
    """Return the region in the variables of AWS's own tools. boto3 reads only the second variable."""
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
    """Prevent botocore from logging the credentials."""

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
    """Return the result. aioboto3 gives a coroutine that may read files, so it runs in its own event loop."""
    if not inspect.iscoroutine(result):
        return result
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, result).result()


def import_boto3() -> Any:
    """Import and return boto3. The import takes 0.3 s, so call this in a thread.

    Raises:
        ImportError: boto3 is not installed. The message names the extra to install.
    """
    try:
        return import_module("boto3")
    except ModuleNotFoundError as error:
        raise ImportError('this needs boto3: run  pip install "sqlalchemy-async-storages[s3]"') from error
