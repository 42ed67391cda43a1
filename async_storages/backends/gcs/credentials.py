"""Who asks Google Cloud Storage: access tokens, and what URLs are signed with.

gcloud-aio-auth speaks OAuth and IAM. It would read files and parse keys in the event loop, renew tokens in tasks that
nobody awaits, and fall back on the machine's own account where a file is malformed: here it does none of this.
"""

import asyncio
import json
import os
import threading
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from http import HTTPStatus
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from aiohttp import (
    ClientError,
    ClientHttpProxyError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    DummyCookieJar,
)
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from gcloud.aio.auth import AioSession, IamClient, Token
from gcloud.aio.auth import token as endpoints
from gcloud.aio.auth.token import TokenResponse, Type

from async_storages._secrets import hidden
from async_storages._tasks import offload
from async_storages.backends.transport.http import HttpOptions
from async_storages.backends.transport.network import Network, proxy_failure
from async_storages.backends.transport.per_loop import PerLoop
from async_storages.backends.transport.retries import Retries
from async_storages.backends.transport.tls import certificate_failure
from async_storages.errors import (
    AccessDeniedException,
    InvalidArgumentException,
    OperationNotSupportedException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)

__all__ = ["Anonymous", "CredentialSource", "GoogleCredentials", "RemoteSigner", "Signer", "credentials_from"]

_SECONDS = 10
"""That one answer of Google's servers for tokens and signatures may take."""

_EARLY = 225
"""Seconds before their end in which tokens are renewed, as in google-auth: servers give the same one until then."""

_KEY_SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
_ANY_SCOPE = "https://www.googleapis.com/auth/cloud-platform"  # signing by IAM needs it

_LONGEST_REASON = 200


class Signer(Protocol):
    """Signs by itself.

    Attributes:
        email: Of the service account in whose name it signs.
    """

    email: str

    def sign(self, message: bytes) -> bytes:
        """The signature: RSASSA-PKCS1-v1_5 with SHA-256; takes about 1 ms."""
        ...


class RemoteSigner(Protocol):
    """Has IAM sign.

    Attributes:
        email: Of the service account in whose name it signs.
    """

    email: str

    async def sign(self, message: bytes) -> bytes:
        """The signature: RSASSA-PKCS1-v1_5 with SHA-256.

        Raises:
            AccessDeniedException: The account may not sign in its own name, which takes the permission
                ``iam.serviceAccounts.signBlob``.
            StorageUnavailableException: IAM cannot be reached.
        """
        ...


class CredentialSource(Protocol):
    """Gives tokens and signatures."""

    @property
    def signer(self) -> Signer | None:
        """The key at hand; None before `prepare`, and where there is none: see `remote_signer`."""
        ...

    async def prepare(self) -> None:
        """Read and parse what there is, the first time.

        Raises:
            InvalidArgumentException: It is malformed.
            AccessDeniedException: It cannot be read.
        """
        ...

    async def token(self, refused: str | None = None) -> str | None:
        """A fresh OAuth access token; None without an account, for emulators and public buckets.

        Args:
            refused: A token that a server refused, so that another one is asked for. The same comes back where the
                server of tokens gives no other.

        Raises:
            AccessDeniedException: Google refuses the account, or there is none.
            StorageUnavailableException: The server of tokens cannot be reached.
        """
        ...

    async def remote_signer(self) -> RemoteSigner:
        """IAM, for accounts whose key is not at hand.

        Raises:
            OperationNotSupportedException: It cannot sign for such an account.
            StorageException: As for `token`.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        ...


def credentials_from(
    service_file: str | Path | None = None,
    service_account_info: Mapping[str, Any] | None = None,
    *,
    anonymous: bool = False,
    retries: Retries | None = None,
    network: Network | None = None,
) -> CredentialSource:
    """The credentials of the given account; nothing is read before they are used.

    Args:
        service_file: A JSON file of Google's: a service account's key, or one for workload identity.
        service_account_info: What such a file holds.
        anonymous: No account at all, for emulators and public buckets.
        retries: How servers that fail are asked again.
        network: The way to them.

    Without any of them: application default credentials, which are the file that ``GOOGLE_APPLICATION_CREDENTIALS``
    names, that of ``gcloud auth application-default login``, else the account that the machine runs under, as on Cloud
    Run, GKE and Compute Engine.

    Raises:
        InvalidArgumentException: More than one of them.
    """
    service_account_info = hidden(service_account_info)
    if (service_file is not None) + (service_account_info is not None) + anonymous > 1:
        raise InvalidArgumentException("one of service_file, service_account_info and anonymous: there is one account")
    if anonymous:
        return Anonymous()
    return GoogleCredentials(service_file, service_account_info, retries=retries, network=network)


class Anonymous:
    """No account."""

    signer = None

    async def prepare(self) -> None:
        """Nothing is there to prepare."""

    async def token(self, refused: str | None = None) -> None:
        """None: requests go without one."""

    async def remote_signer(self) -> RemoteSigner:
        """Refused."""
        raise OperationNotSupportedException("nothing can be signed without an account: give a service_file")

    async def aclose(self) -> None:
        """Nothing is there to close."""


class GoogleCredentials:
    """Those of one account: see `credentials_from`. May be shared by threads and loops."""

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
        self._account: _Account | None = None
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
        """See `CredentialSource`; done in a thread, as parsing an RSA key takes 65 ms."""
        if self._account is None:
            await offload(self._load)

    def _load(self) -> None:
        with self._loading:
            if self._account is None:
                info = _read(self._file) if self._info is None else self._info
                self._account = _Account(info, self._retries)

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


# ---- what is given


class _Account:
    """An account as its file describes it, None the machine's own; made in a thread, as this reads and parses."""

    def __init__(self, info: Mapping[str, Any] | None, retries: Retries) -> None:
        try:
            self.kind = Type.GCE_METADATA if info is None else Type(info["type"])
        except (KeyError, TypeError, ValueError):
            raise InvalidArgumentException(
                "the credentials have no 'type' that is known here: give the JSON file of a service account"
            ) from None
        given = dict(info or {})
        self.signer = _KeySigner(given) if self.kind is Type.SERVICE_ACCOUNT else None
        try:
            data = StringIO(json.dumps(given))
            self.token = _Token(data, [_ANY_SCOPE if self.signer is None else _KEY_SCOPE], retries)
        except (TypeError, ValueError) as error:
            raise InvalidArgumentException(f"the credentials are malformed ({type(error).__name__})") from None
        if self.signer is not None:
            self.token.service_data["private_key"] = self.signer.key  # not to be parsed for each token


class _KeySigner:
    """Signs with the key of a service account."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        email, pem = data.get("client_email"), data.get("private_key")
        if not isinstance(email, str) or not isinstance(pem, str):
            raise InvalidArgumentException("the service account lacks its client_email or private_key")
        self.email = email
        self.key = _parsed(pem)

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, PKCS1v15(), SHA256())


def _parsed(pem: str) -> RSAPrivateKey:
    try:
        # checking the primes takes 85 ms, in which no other thread runs either; and the key is the user's own
        key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise InvalidArgumentException("the private_key of the service account is no RSA key in PEM, or is encrypted")
    return key


def _read(service_file: str | Path | None) -> Mapping[str, Any] | None:
    """What the file holds; by default the one that every tool of Google's finds, None if there is none."""
    path = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") or None if service_file is None else service_file
    try:
        data = hidden(json.loads((_of_gcloud() if path is None else Path(path)).read_bytes()))
    except OSError as error:
        if path is None and isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        raise _unreadable(error) from error
    except ValueError:
        data = None
    if not isinstance(data, dict) or not data:
        raise InvalidArgumentException("the file of the credentials holds no JSON object")
    return data


def _of_gcloud() -> Path:
    """Where ``gcloud auth application-default login`` writes, as google-auth looks for it."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path's raises where nobody has a home, as in some containers
    parent = Path(os.environ.get("APPDATA", "C:/")) if os.name == "nt" else Path(home, ".config")
    return Path(os.environ.get("CLOUDSDK_CONFIG") or parent / "gcloud", "application_default_credentials.json")


def _unreadable(error: OSError) -> AccessDeniedException:
    return AccessDeniedException(f"the file of the credentials, {error.filename!r}, cannot be read ({error.strerror})")


# ---- what is asked of Google


class _Connection:
    """The session of one event loop, and what is asked through it."""

    def __init__(self, account: _Account | None, network: Network) -> None:
        if account is None:
            raise InvalidArgumentException("the credentials are not prepared")
        self._account = account
        self._network = network
        self._iam_signer: _IamSigner | None = None

    async def __aenter__(self) -> Self:
        self._session: Any = _Session(ClientSession(cookie_jar=DummyCookieJar()), self._network)
        self.token = self._account.token.within(self._session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def iam_signer(self) -> "_IamSigner":
        if self._iam_signer is None:
            client = self._iam_client()
            email = client.service_account_email
            if email is None:
                email = await _asking(self._machine_email, self.token.retries)
            self._iam_signer = _IamSigner(email, client, self.token.retries)
        return self._iam_signer

    def _iam_client(self) -> IamClient:
        try:
            return IamClient(session=self._session, token=self.token)
        except TypeError:
            raise OperationNotSupportedException(
                f"an account of type {self._account.kind.value!r} cannot sign: give the key of a service account, or "
                "impersonate one"
            ) from None

    async def _machine_email(self) -> str:
        url = f"{endpoints.GCE_METADATA_BASE}/instance/service-accounts/default/email"
        answer = await self.token.session.get(url, headers=endpoints.GCE_METADATA_HEADERS, timeout=_SECONDS)
        return (await answer.text()).strip()


class _Session:
    """What gcloud-aio-auth uses of aiohttp's session, by the way that each URL takes."""

    def __init__(self, session: ClientSession, network: Network) -> None:
        self._session = session
        self._network = network

    async def get(self, url: str, **options: Any) -> ClientResponse:
        return await self._session.get(url, **options, **await self._network.towards(str(url)))

    async def post(self, url: str, **options: Any) -> ClientResponse:
        return await self._session.post(url, **options, **await self._network.towards(str(url)))

    async def close(self) -> None:
        await self._session.close()


class _IamSigner:
    """See `RemoteSigner`."""

    def __init__(self, email: str, client: IamClient, retries: Retries) -> None:
        self.email = email
        self._client = client
        self._retries = retries

    async def sign(self, message: bytes) -> bytes:
        async def ask() -> bytes:
            answer = await self._client.sign_blob(message, service_account_email=self.email, timeout=_SECONDS)
            return b64decode(answer["signedBlob"], validate=True)

        await self._client.token.get()  # not within, which would try again what tries again
        return await _asking(ask, self._retries)


class _Token(Token):
    """An access token, renewed by the first who finds it stale, while others wait."""

    def __init__(self, data: StringIO, scopes: list[str], retries: Retries) -> None:
        super().__init__(data, scopes=scopes)
        self.retries = retries
        self._renewing = asyncio.Lock()
        self._end = self._stale_from = 0.0

    def within(self, session: Any) -> Self:  # Any, as type-checkers take gcloud-aio-auth for its synchronous sister
        """Another one of the same account, asked for in this session."""
        other = copy(self)
        other.session = AioSession(session)
        other._renewing = asyncio.Lock()  # noqa: SLF001 - it is of this class
        return other

    def drop(self, refused: str | None) -> None:
        """Take this token for stale, if it is the one at hand."""
        if refused is not None and refused == self.access_token:
            self._stale_from = 0.0

    async def ensure_token(self) -> None:
        """Have a fresh `access_token`."""
        if time.time() < self._stale_from:
            return
        async with self._renewing:
            if time.time() >= self._stale_from:
                await self._renew()

    async def _renew(self) -> None:
        try:
            answer = await _asking(self._ask, self.retries)
        except StorageUnavailableException as error:
            if time.time() + _SECONDS < self._end:
                return  # the old one is good until they are back
            if self.token_type is not Type.GCE_METADATA:
                raise
            raise StorageUnavailableException(
                f"{error.reason}; it is the machine's own that was asked, as no other credentials were given"
            ) from error
        self.access_token = answer.value
        self._end = time.time() + answer.expires_in
        self._stale_from = self._end - min(_EARLY, answer.expires_in / 2)

    async def _get_subject_token(
        self,
        credential_source: dict[str, Any],
        timeout: int,  # noqa: ASYNC109 - the base class's signature
    ) -> str:
        """That of a workload identity; a file, which Kubernetes writes anew now and then, is read in a thread."""
        path = credential_source.get("file")
        if path is None:
            return await super()._get_subject_token(credential_source, timeout)
        try:
            return (await offload(Path(path).read_text)).strip()
        except OSError as error:
            raise _unreadable(error) from error

    async def _ask(self) -> TokenResponse:
        return await self.refresh(timeout=_SECONDS)


async def _asking[Answer](ask: Callable[[], Awaitable[Answer]], retries: Retries) -> Answer:
    """The answer of one of Google's servers, asked again while it fails in ways that may pass."""
    return await retries.run(lambda: _translated(ask))


async def _translated[Answer](ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Errors of aiohttp as ours, without their text, as that holds what was sent: tokens and assertions."""
    try:
        return await ask()
    except ClientHttpProxyError as error:
        raise proxy_failure(error.status) from None
    except ClientResponseError as error:
        raise _refusal(error) from None
    except (ClientError, OSError) as error:  # TimeoutError is one
        if (failure := certificate_failure(error)) is not None:
            raise failure from None
        raise StorageUnavailableException(
            f"Google's server of tokens and signatures cannot be reached ({type(error).__name__})"
        ) from None
    except KeyError as error:
        raise StorageOperationException(f"the credentials, or Google's answer, lack {error}") from None
    except (TypeError, ValueError) as error:
        raise StorageOperationException(f"no token or signature in Google's answer ({type(error).__name__})") from None


def _refusal(error: ClientResponseError) -> StorageException:
    if error.status == HTTPStatus.TOO_MANY_REQUESTS or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return StorageUnavailableException(f"Google's server of tokens and signatures failed ({error.status})")
    if error.status < HTTPStatus.BAD_REQUEST:
        return StorageOperationException("no token or signature in Google's answer, which is no JSON")
    return AccessDeniedException(f"Google refused the credentials ({error.status}): {_said(error.message)}")


def _said(message: str) -> str:
    """The reason in an error's JSON, of OAuth (RFC 6749, section 5.2) or of Google's APIs."""
    try:
        body = json.loads(message[message.index("{") :])
        error = body["error"]
        said = error["message"] if isinstance(error, dict) else body.get("error_description", error)
    except (AttributeError, KeyError, TypeError, ValueError):
        return "no reason given"
    return ascii(said)[:_LONGEST_REASON]
