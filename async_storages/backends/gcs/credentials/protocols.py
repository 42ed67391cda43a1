"""Protocols of the credentials for requests and presigned URLs."""

from typing import Protocol

__all__ = ["CredentialSource", "RemoteSigner", "Signer"]


class Signer(Protocol):
    """Signs with a local key.

    Attributes:
        email: The e-mail address of the signing service account.
    """

    email: str

    def sign(self, message: bytes) -> bytes:
        """Return the signature: RSASSA-PKCS1-v1_5 with SHA-256. This takes about 1 ms."""
        ...


class RemoteSigner(Protocol):
    """Lets IAM sign.

    Attributes:
        email: The e-mail address of the signing service account.
    """

    email: str

    async def sign(self, message: bytes) -> bytes:
        """Return the signature: RSASSA-PKCS1-v1_5 with SHA-256.

        Raises:
            AccessDeniedException: The account lacks the permission ``iam.serviceAccounts.signBlob`` on itself.
            StorageUnavailableException: IAM cannot be reached.
        """
        ...


class CredentialSource(Protocol):
    """A source of access tokens and signatures."""

    @property
    def signer(self) -> Signer | None:
        """The signer with a local key. None before `prepare`, and for accounts without a key: see `remote_signer`."""
        ...

    async def prepare(self) -> None:
        """Read and parse the credentials, the first time.

        Raises:
            InvalidArgumentException: The credentials are malformed.
            AccessDeniedException: The credentials cannot be read.
        """
        ...

    async def token(self, refused: str | None = None) -> str | None:
        """Return a fresh OAuth access token. None without an account, for emulators and public buckets.

        Args:
            refused: A token that a server refused. The source requests another one, and returns the same one if it gets
                no other.

        Raises:
            AccessDeniedException: Google refuses the account, or there is none.
            StorageUnavailableException: The server of tokens cannot be reached.
        """
        ...

    async def remote_signer(self) -> RemoteSigner:
        """Return the signer of IAM, for accounts without a local key.

        Raises:
            OperationNotSupportedException: IAM cannot sign for such an account.
            StorageException: As for `token`.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        ...
