"""The credentials that the user chooses: a file, its content, the machine's own account, or none.

gcloud-aio-auth speaks OAuth and IAM. By default it reads files and parses keys in the event loop, renews tokens in
tasks that are never awaited, and uses the machine's own account if a file is malformed. This module prevents all of
these.
"""

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientResponse, ClientSession, DummyCookieJar
from gcloud.aio.auth import IamClient
from gcloud.aio.auth import token as endpoints

from async_storages._secrets import hidden
from async_storages._tasks import offload
from async_storages.backends.gcs.credentials.access_token import ANSWER_TIMEOUT
from async_storages.backends.gcs.credentials.account import Account
from async_storages.backends.gcs.credentials.auth_requests import ask_google
from async_storages.backends.gcs.credentials.credentials_file import read_credentials
from async_storages.backends.gcs.credentials.iam_signer import IamSigner
from async_storages.backends.gcs.credentials.protocols import CredentialSource, RemoteSigner, Signer
from async_storages.backends.transport.http import HttpOptions
from async_storages.backends.transport.network import Network
from async_storages.backends.transport.per_loop import PerLoop
from async_storages.backends.transport.retries import Retries
from async_storages.errors import InvalidArgumentException, OperationNotSupportedException

__all__ = ["Anonymous", "GoogleCredentials", "credentials_from"]


def credentials_from(
    service_file: str | Path | None = None,
    service_account_info: Mapping[str, Any] | None = None,
    *,
    anonymous: bool = False,
    retries: Retries | None = None,
    network: Network | None = None,
) -> CredentialSource:
    """Return the credentials of the chosen account. Files are read only when the credentials are used.

    Args:
        service_file: A JSON file from Google: the key of a service account, or a workload identity.
        service_account_info: The content of such a file.
        anonymous: True uses no account, for emulators and public buckets.
        retries: The rule for failed requests.
        network: Proxy and certificates.

    Without a file, its content and `anonymous`, this uses the application default credentials: the file in
    ``GOOGLE_APPLICATION_CREDENTIALS``, the file of ``gcloud auth application-default login``, or the machine's own
    account on Cloud Run, GKE and Compute Engine.

    Raises:
        InvalidArgumentException: More than one of these three is given.
    """
    service_account_info = hidden(service_account_info)
    if (service_file is not None) + (service_account_info is not None) + anonymous > 1:
        raise InvalidArgumentException(
            "service_file, service_account_info and anonymous exclude each other: give one of them"
        )
    if anonymous:
        return Anonymous()
    return GoogleCredentials(service_file, service_account_info, retries=retries, network=network)


class Anonymous:
    """No account."""

    signer = None

    async def prepare(self) -> None:
        """Do nothing."""

    async def token(self, refused: str | None = None) -> None:
        """Return None: requests have no token."""

    async def remote_signer(self) -> RemoteSigner:
        """Raise OperationNotSupportedException, as no account can sign."""
        raise OperationNotSupportedException("an anonymous account cannot sign: give a service_file")

    async def aclose(self) -> None:
        """Do nothing."""


class GoogleCredentials:
    """The credentials of one account: see `credentials_from`. Threads and event loops may share them."""

    def __init__(
        self,
        service_file: str | Path | None = None,
        service_account_info: Mapping[str, Any] | None = None,
        *,
        retries: Retries | None = None,
        network: Network | None = None,
    ) -> None:
        network = network or Network(HttpOptions())
        self._file = service_file
        self._info = service_account_info
        self._account: Account | None = None
        self._loading = threading.Lock()
        self._retries = retries or Retries()
        self._connections = PerLoop(lambda: _Connection(self._account, network))

    def __repr__(self) -> str:
        return f"GoogleCredentials({'?' if self._account is None else self._account.kind.value})"

    @property
    def signer(self) -> Signer | None:
        """See `CredentialSource`."""
        return None if self._account is None else self._account.signer

    async def prepare(self) -> None:
        """See `CredentialSource`. It runs in a thread, as parsing an RSA key takes 65 ms."""
        if self._account is None:
            await offload(self._load)

    def _load(self) -> None:
        with self._loading:
            if self._account is None:
                info = read_credentials(self._file) if self._info is None else self._info
                self._account = Account(info, self._retries)

    async def token(self, refused: str | None = None) -> str | None:
        """See `CredentialSource`."""
        token = (await self._connection()).token
        token.drop(refused)
        return await token.get()

    async def remote_signer(self) -> RemoteSigner:
        """See `CredentialSource`."""
        return await (await self._connection()).iam_signer()

    async def aclose(self) -> None:
        """See `CredentialSource`."""
        await self._connections.aclose()

    async def _connection(self) -> "_Connection":
        await self.prepare()
        return await self._connections.get()


class _Connection:
    """The session of one event loop, and the token and signer that use it."""

    def __init__(self, account: Account | None, network: Network) -> None:
        if account is None:
            raise InvalidArgumentException("the credentials are not prepared: `await storage.prepare()` first")
        self._account = account
        self._network = network
        self._iam_signer: IamSigner | None = None

    async def __aenter__(self) -> Self:
        self._session: Any = _Session(ClientSession(cookie_jar=DummyCookieJar()), self._network)
        self.token = self._account.token.within(self._session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def iam_signer(self) -> "IamSigner":
        if self._iam_signer is None:
            client = self._iam_client()
            email = client.service_account_email
            if email is None:
                email = await ask_google(self._machine_email, self.token.retries)
            self._iam_signer = IamSigner(email, client, self.token.retries)
        return self._iam_signer

    def _iam_client(self) -> IamClient:
        try:
            return IamClient(session=self._session, token=self.token)
        except TypeError:
            raise OperationNotSupportedException(
                f"an account of type {self._account.kind.value!r} cannot sign: give the key of a service account, or "
                "impersonate one, which needs gcloud-aio-auth 5.6 or newer"
            ) from None

    async def _machine_email(self) -> str:
        url = f"{endpoints.GCE_METADATA_BASE}/instance/service-accounts/default/email"
        answer = await self.token.session.get(url, headers=endpoints.GCE_METADATA_HEADERS, timeout=ANSWER_TIMEOUT)
        return (await answer.text()).strip()


class _Session:
    """The part of aiohttp's session that gcloud-aio-auth uses, through the proxy of each URL."""

    def __init__(self, session: ClientSession, network: Network) -> None:
        self._session = session
        self._network = network

    async def get(self, url: str, **options: Any) -> ClientResponse:
        return await self._session.get(url, **options, **await self._network.towards(str(url)))

    async def post(self, url: str, **options: Any) -> ClientResponse:
        return await self._session.post(url, **options, **await self._network.towards(str(url)))

    async def close(self) -> None:
        await self._session.close()
