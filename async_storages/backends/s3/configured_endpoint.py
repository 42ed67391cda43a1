"""The server that an environment or a profile names, as AWS's own tools take it.

Specified in the AWS SDKs and Tools Reference Guide, "Service-specific endpoints".
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["endpoint_of_environment", "endpoint_of_profile"]


def endpoint_of_environment(environment: Mapping[str, str]) -> str | None:
    """That of ``AWS_ENDPOINT_URL_S3``, else of ``AWS_ENDPOINT_URL``, unless ``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS``."""
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None


def endpoint_of_profile(session: Any) -> str | None:
    """What the profile of a session says: for S3 in its ``services`` section, else for every service.

    Args:
        session: A botocore session; its files are read, so call this in a thread.
    """
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    profile = session.get_scoped_config()
    services = session.full_config.get("services", {}).get(profile.get("services"), {})
    return _endpoint_in(services.get("s3")) or _endpoint_in(profile)


def _endpoint_in(section: Any) -> str | None:
    found = section.get("endpoint_url") if isinstance(section, Mapping) else None
    return str(found) if found else None
