"""Signatures by IAM, for accounts without a local key."""

from base64 import b64decode

from gcloud.aio.auth import IamClient

from async_storages.backends.gcs.credentials.access_token import ANSWER_TIMEOUT
from async_storages.backends.gcs.credentials.auth_requests import ask_google
from async_storages.backends.transport.retries import Retries

__all__ = ["IamSigner"]


class IamSigner:
    """Lets IAM sign in the name of an account: see `RemoteSigner`."""

    def __init__(self, email: str, client: IamClient, retries: Retries) -> None:
        self.email = email
        self._client = client
        self._retries = retries

    async def sign(self, message: bytes) -> bytes:
        """See `RemoteSigner`."""

        async def ask() -> bytes:
            answer = await self._client.sign_blob(message, service_account_email=self.email, timeout=ANSWER_TIMEOUT)
            return b64decode(answer["signedBlob"], validate=True)

        await self._client.token.get()  # outside of `ask`, which would repeat its repetitions
        return await ask_google(ask, self._retries)
