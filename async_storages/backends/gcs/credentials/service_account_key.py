"""The RSA key of a service account, and the signatures that it makes."""

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from async_storages.errors import InvalidArgumentException

__all__ = ["KeySigner"]


class KeySigner:
    """Signs with the key of a service account."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        email, pem = data.get("client_email"), data.get("private_key")
        if not isinstance(email, str) or not isinstance(pem, str):
            raise InvalidArgumentException(
                "the service account lacks its client_email or private_key: give its whole JSON file"
            )
        self.email = email
        self.key = _parsed(pem)

    def sign(self, message: bytes) -> bytes:
        """See `Signer`."""
        return self.key.sign(message, PKCS1v15(), SHA256())


def _parsed(pem: str) -> RSAPrivateKey:
    try:
        # checking the primes of the user's own key would take 85 ms, in which no other thread runs
        key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise InvalidArgumentException("the private_key of the service account is no RSA key in PEM, or is encrypted")
    return key
