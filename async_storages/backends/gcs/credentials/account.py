"""One account, from its JSON file."""

import json
from collections.abc import Mapping
from io import StringIO
from typing import Any

from gcloud.aio.auth.token import Type

from async_storages.backends.gcs.credentials.access_token import AccessToken
from async_storages.backends.gcs.credentials.service_account_key import KeySigner
from async_storages.backends.transport.retries import Retries
from async_storages.errors import InvalidArgumentException

__all__ = ["Account"]

_KEY_SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
_ANY_SCOPE = "https://www.googleapis.com/auth/cloud-platform"  # signing by IAM needs it


class Account:
    """An account from its file, or the machine's own account for None. Create it in a thread, as it parses keys."""

    def __init__(self, info: Mapping[str, Any] | None, retries: Retries) -> None:
        try:
            self.kind = Type.GCE_METADATA if info is None else Type(info["type"])
        except (KeyError, TypeError, ValueError):
            raise InvalidArgumentException(
                "the credentials have no 'type' that is known here: give the JSON file of a service account; a "
                "workload identity needs gcloud-aio-auth 5.5 or newer"
            ) from None
        given = dict(info or {})
        self.signer = KeySigner(given) if self.kind is Type.SERVICE_ACCOUNT else None
        try:
            data = StringIO(json.dumps(given))
            self.token = AccessToken(data, [_ANY_SCOPE if self.signer is None else _KEY_SCOPE], retries)
        except (TypeError, ValueError) as error:
            raise InvalidArgumentException(f"the credentials are malformed ({type(error).__name__})") from None
        if self.signer is not None:
            self.token.service_data["private_key"] = self.signer.key  # parsed once, not for each token
