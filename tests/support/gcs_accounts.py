"""Service accounts of Google Cloud with real RSA keys, made up on the spot."""

from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

EMAIL = "tester@project.iam.gserviceaccount.com"


def private_key(email: str = EMAIL) -> RSAPrivateKey:
    """The key of an account: one for each e-mail address and process."""
    return _key_of(email)


@lru_cache
def _key_of(_email: str) -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def public_keys(*emails: str) -> dict[str, RSAPublicKey]:
    """What Google knows of these accounts."""
    return {email: private_key(email).public_key() for email in emails or (EMAIL,)}


def service_account(email: str = EMAIL, **fields: Any) -> dict[str, Any]:
    """What the JSON file of an account's key holds; `fields` go first, such as `token_uri`."""
    pem = private_key(email).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "type": "service_account",
        "project_id": "project",
        "client_email": email,
        "private_key": pem.decode(),
        "token_uri": "http://127.0.0.1:9/token",  # nobody is there
        **fields,
    }
