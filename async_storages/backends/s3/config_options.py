"""The settings of `S3Config`, as options of `S3Storage`."""

from typing import Any

from async_storages.config import S3Config

__all__ = ["storage_options"]

_RENAMED = ("endpoint", "access_key_id", "secret_access_key", "session_token", "default_bucket", "region")
"""Settings of `S3Config` whose parameters have other names in `S3Storage`."""


def storage_options(config: S3Config) -> dict[str, Any]:
    """Return the settings as keyword arguments of `S3Storage`."""
    secrets = {name: getattr(config, name) for name in ("secret_access_key", "session_token", "proxy")}
    shown = {name: None if secret is None else secret.get_secret_value() for name, secret in secrets.items()}
    return {
        **config.model_dump(exclude={*_RENAMED}),
        "endpoint_url": config.endpoint,
        "aws_access_key_id": config.access_key_id,
        "aws_secret_access_key": shown["secret_access_key"],
        "aws_session_token": shown["session_token"],
        "region_name": config.region,
        "proxy": shown["proxy"],
        "upload_options": config.upload_options,
    }
