"""Trusted certificates, and errors for certificates that are not trusted."""

import os
import ssl
import warnings
from functools import lru_cache
from pathlib import Path

from aiohttp import ClientConnectorCertificateError, ClientConnectorSSLError

from async_storages._tasks import offload
from async_storages.errors import InsecureConnectionWarning, InvalidArgumentException, StorageOperationException

__all__ = ["Trust", "certificate_failure"]

_OPENSSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that OpenSSL reads each time it loads its default certificates."""

# X509_V_ERR_… of OpenSSL
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = frozenset({62, 63, 64})


class Trust:
    """Makes the TLS context of one storage once, in a thread, as that reads files.

    Args:
        verify: True checks certificates.
        ca_bundle: A file of PEM certificates, or a folder made by ``openssl rehash``, to trust *instead of* the
            system's.
        variable: The environment variable that names such a file or folder, if `ca_bundle` is None.

    Warns:
        InsecureConnectionWarning: `verify` is False.
    """

    def __init__(self, *, verify: bool, ca_bundle: str | os.PathLike[str] | None, variable: str | None) -> None:
        said = os.environ.get(variable) if variable else None
        self._name = "ca_bundle" if ca_bundle is not None else variable
        self._bundle = os.fspath(ca_bundle) if ca_bundle is not None else said or None
        self._verify = verify
        self._openssl = tuple(os.environ.get(name) for name in _OPENSSL)
        self._context: ssl.SSLContext | None = None
        if not verify:
            warnings.warn(
                "verify=False: the certificate of the storage is not checked, so that anybody on the way can read and "
                "change everything; ca_bundle= names the certificates of a private CA",
                InsecureConnectionWarning,
                stacklevel=2,
            )

    @property
    def is_default(self) -> bool:
        """True if aiohttp's own context is enough. It trusts OpenSSL's default certificates."""
        return self._verify and self._bundle is None and not any(self._openssl)

    async def context(self) -> ssl.SSLContext | bool:
        """Return the argument ``ssl`` of aiohttp. True is aiohttp's own context.

        Raises:
            InvalidArgumentException: The file or folder cannot be read, or holds no certificate.
        """
        if self._context is None:
            if self.is_default:
                return True
            self._context = await offload(self._loaded)
        return self._context

    def _loaded(self) -> ssl.SSLContext:
        try:
            return _context(self._verify, self._bundle, self._openssl)
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "reason", None) or error.strerror or "no certificate"
            raise InvalidArgumentException(
                f"{self._name}: the certificates of {self._bundle!r} cannot be read ({reason})"
            ) from error


@lru_cache(maxsize=32)  # loading the system's certificates takes 20 ms and 1 MB
def _context(verify: bool, bundle: str | None, _openssl: tuple[str | None, ...]) -> ssl.SSLContext:
    if not verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif bundle is None:
        context = ssl.create_default_context()
    elif Path(bundle).is_dir():
        context = ssl.create_default_context(capath=bundle)
    else:
        context = ssl.create_default_context(cafile=bundle)
    context.set_alpn_protocols(("http/1.1",))
    return context


def certificate_failure(error: BaseException | None) -> StorageOperationException | None:
    """Return the storage error for an error of aiohttp that no retry can cure. None for others."""
    if isinstance(error, ClientConnectorCertificateError):
        return StorageOperationException(f"the certificate of {error.host}:{error.port} {_fault(error)}")
    if isinstance(error, ClientConnectorSSLError) and _speaks_plainly(error.os_error):
        return StorageOperationException(
            f"{error.host}:{error.port} does not speak TLS: give an http:// URL, or use_ssl=False"
        )
    return None


def _fault(error: ClientConnectorCertificateError) -> str:
    found = error.certificate_error
    code, said = getattr(found, "verify_code", 0), getattr(found, "verify_message", type(found).__name__)
    if code == _EXPIRED:
        return "has expired: renew it on the server"
    if code == _NOT_YET_VALID:
        return "is not valid yet: check the clock of this machine"
    if code in _OTHER_NAME:
        return f"is for another name ({said}): give an endpoint_url with a name that it holds"
    return (
        f"is not trusted ({said}): name a file with its CA's certificate by ca_bundle= or the variable "
        "AWS_CA_BUNDLE (S3) or SSL_CERT_FILE"
    )


def _speaks_plainly(error: OSError) -> bool:
    return getattr(error, "reason", None) in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}
