"""Requests to Google's servers for tokens and signatures, with retries and translated errors."""

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import ClientError, ClientHttpProxyError, ClientResponseError

from async_storages.backends.transport.network import proxy_failure
from async_storages.backends.transport.retries import Retries
from async_storages.backends.transport.tls import certificate_failure
from async_storages.errors import (
    AccessDeniedException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)

__all__ = ["ask_google"]

_LONGEST_REASON = 200


async def ask_google[Answer](ask: Callable[[], Awaitable[Answer]], retries: Retries) -> Answer:
    """Return the answer of one of Google's servers. Retry after temporary failures."""
    return await retries.run(lambda: _translated(ask))


async def _translated[Answer](ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Raise errors of aiohttp as storage errors, without their text, which holds tokens and assertions."""
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
    """Return the reason in the JSON of an error, of OAuth (RFC 6749, section 5.2) or of Google's APIs."""
    try:
        body = json.loads(message[message.index("{") :])
        error = body["error"]
        said = error["message"] if isinstance(error, dict) else body.get("error_description", error)
    except (AttributeError, KeyError, TypeError, ValueError):
        return "no reason given"
    return ascii(said)[:_LONGEST_REASON]
