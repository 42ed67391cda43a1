"""Access tokens (OAuth 2.0) of one account. They are renewed in time, by one request."""

import asyncio
import time
from copy import copy
from io import StringIO
from pathlib import Path
from typing import Any, Self

from gcloud.aio.auth import AioSession, Token
from gcloud.aio.auth.token import TokenResponse, Type

from async_storages._tasks import offload
from async_storages.backends.gcs.credentials.auth_requests import ask_google
from async_storages.backends.gcs.credentials.credentials_file import unreadable
from async_storages.backends.transport.retries import Retries
from async_storages.errors import StorageUnavailableException

__all__ = ["ANSWER_TIMEOUT", "AccessToken"]

ANSWER_TIMEOUT = 10
"""The longest time in seconds for an answer of Google's servers for tokens and signatures."""

_EARLY = 225
"""Seconds before expiry in which tokens are renewed, as in google-auth. Before that, servers return the same token."""


class AccessToken(Token):
    """An access token. The first task that finds it stale renews it, while other tasks wait."""

    def __init__(self, data: StringIO, scopes: list[str], retries: Retries) -> None:
        super().__init__(data, scopes=scopes)
        self.retries = retries
        self._renewing = asyncio.Lock()
        self._end = self._stale_from = 0.0

    def within(self, session: Any) -> Self:  # Any: type-checkers take gcloud-aio-auth for its synchronous sister
        """Return a copy for the same account, which uses this session for its requests."""
        other = copy(self)
        other.session = AioSession(session)
        other._renewing = asyncio.Lock()  # noqa: SLF001 - it is of this class
        return other

    def drop(self, refused: str | None) -> None:
        """Mark this token as stale, if it is the current one."""
        if refused is not None and refused == self.access_token:
            self._stale_from = 0.0

    async def ensure_token(self) -> None:
        """Make sure that `access_token` is fresh."""
        if time.time() < self._stale_from:
            return
        async with self._renewing:
            if time.time() >= self._stale_from:
                await self._renew()

    async def _renew(self) -> None:
        try:
            answer = await ask_google(self._ask, self.retries)
        except StorageUnavailableException as error:
            if time.time() + ANSWER_TIMEOUT < self._end:
                return  # the old token is still good
            if self.token_type is not Type.GCE_METADATA:
                raise
            raise StorageUnavailableException(
                f"{error.reason}; no credentials were given, so the machine's own server was asked"
            ) from error
        self.access_token = answer.value
        self._end = time.time() + answer.expires_in
        self._stale_from = self._end - min(_EARLY, answer.expires_in / 2)

    async def _get_subject_token(
        self,
        credential_source: dict[str, Any],
        timeout: int,  # noqa: ASYNC109 - the base class's signature
    ) -> str:
        """Return the token of a workload identity. A thread reads its file, which Kubernetes rewrites."""
        path = credential_source.get("file")
        if path is None:
            return await super()._get_subject_token(credential_source, timeout)
        try:
            return (await offload(Path(path).read_text)).strip()
        except OSError as error:
            raise unreadable(error) from error

    async def _ask(self) -> TokenResponse:
        return await self.refresh(timeout=ANSWER_TIMEOUT)
