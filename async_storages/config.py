"""Settings as pydantic models. They refuse wrong and unknown values at start, and never show a secret."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, Secret, SecretStr, ValidationError

from async_storages.errors import InvalidArgumentException
from async_storages.upload_options import UploadOptions

__all__ = ["FastdfsConfig", "GCSConfig", "S3Config", "StorageMode", "StorageModeConfig", "validated"]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StorageMode(StrEnum):
    """The systems that a `StorageManager` uses."""

    S3 = "s3"
    FASTDFS = "fastdfs"
    HYBRID = "hybrid"
    """New files go to S3. Files in FastDFS can be read and deleted."""


class StorageModeConfig(_Config):
    """The mode of a `StorageManager`.

    Attributes:
        mode: Hybrid by default.
    """

    mode: StorageMode = StorageMode.HYBRID


class S3Config(_Config):
    """An S3 server and its default bucket. `S3Storage` describes each setting in detail.

    Attributes:
        endpoint: The server, with or without a scheme. None is AWS.
        access_key_id: The access key. Without it, boto3 finds the credentials as every AWS tool does.
        secret_access_key: The secret of the access key.
        session_token: The session token of temporary credentials.
        default_bucket: The bucket for new files, unless a call names another one.
        region: The bucket's region. By default `S3Storage` finds it.
        use_ssl: True uses https, False http, for an endpoint without a scheme.
        addressing_style: ``"auto"``, ``"path"`` or ``"virtual"``.
        default_acl: A canned ACL for new objects.
        custom_domain: The domain of a CDN that serves the default bucket.
        querystring_auth: True presigns the URLs of `get_path`.
        public_url: The address of the server for browsers, if it differs from `endpoint`.
        storage_class: The storage class of new objects.
        conditional_writes: True if the server honours ``If-None-Match``, False if it does not. ``"auto"`` tests it.
        checksums: The rule for checksum headers: ``"auto"``, ``"required"`` or ``"never"``.
        upload_options: Further options of new objects.
        requester_pays: True agrees to pay for requests to a requester-pays bucket.
        profile_name: The AWS profile with credentials, region and server, if no access key is given.
        proxy: ``"http://user:password@host:port"``. By default the proxy that the environment variables name.
        ca_bundle: A file of certificates to trust instead of the system's.
        verify: True checks certificates.
    """

    endpoint: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    default_bucket: str
    region: str | None = None
    use_ssl: bool = True
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    default_acl: str | None = None
    custom_domain: str | None = None
    querystring_auth: bool = False
    public_url: str | None = None
    storage_class: str | None = None
    conditional_writes: Literal["auto"] | bool = "auto"
    checksums: Literal["auto", "required", "never"] = "auto"
    upload_options: InstanceOf[UploadOptions] | None = Field(default=None, exclude=True)
    requester_pays: bool = False
    profile_name: str | None = None
    proxy: SecretStr | None = None
    ca_bundle: Path | None = None
    verify: bool = True


class GCSConfig(_Config):
    """A bucket of Google Cloud Storage. `GCSStorage` describes each setting in detail.

    Attributes:
        default_bucket: The bucket for new files, unless a call names another one.
        service_file: The JSON file of a service account. Without it, the credentials are found as Google's tools do.
        service_account_info: The content of such a file.
        endpoint: The address of another server, for example an emulator.
        anonymous: True uses no credentials.
        custom_domain: The domain of a CDN that serves the default bucket.
        querystring_auth: True presigns the URLs of `get_path`.
        public_url: The address of the server for browsers, if it differs from `endpoint`.
        prefix: A folder in the bucket. The storage uses only keys below it.
        storage_class: The storage class of new objects.
        predefined_acl: The predefined ACL of new objects.
        upload_options: Further options of new objects.
        user_project: The id of the project that pays for requests to a requester-pays bucket.
        proxy: ``"http://user:password@host:port"``. By default the proxy that the environment variables name.
        ca_bundle: A file of certificates to trust instead of the system's.
        verify: True checks certificates.
    """

    default_bucket: str
    service_file: Path | None = None
    service_account_info: Secret[dict[str, Any]] | None = None
    endpoint: str | None = None
    anonymous: bool = False
    custom_domain: str | None = None
    querystring_auth: bool = False
    public_url: str | None = None
    prefix: str = ""
    storage_class: str | None = None
    predefined_acl: str | None = None
    upload_options: InstanceOf[UploadOptions] | None = Field(default=None, exclude=True)
    user_project: str | None = None
    proxy: SecretStr | None = None
    ca_bundle: Path | None = None
    verify: bool = True


class FastdfsConfig(_Config):
    """A FastDFS cluster, and the web server that serves its files.

    Attributes:
        tracker_servers: ``host:port`` of each tracker. The default port is 22122.
        connect_timeout: The longest time to connect, in seconds.
        network_timeout: Seconds without a byte after which a transfer fails.
        store_path_index: The disk to upload to, 0 to 254. With -1 FastDFS chooses.
        group: The group to upload to. With None FastDFS chooses.
        url_base: The URL at which nginx serves the files, without the group: ``https://files.example.com``.
        secret_key: The ``http.anti_steal.secret_key`` of that server, if it checks tokens.
        token_ttl: The ``http.anti_steal.token_ttl`` of that server, in seconds. With it, each link can have its own
            expiry.
        link_filename: The query parameter that holds an attachment's name: ``filename`` for FastDFS's nginx module,
            ``attname`` for nginx configurations that add the header themselves.
        address_map: Maps an address that trackers name to the address that this machine must use, for clusters behind
            NAT or in Docker. Both are ``host:port``, or both are ``host`` for all ports.
    """

    tracker_servers: list[str] = Field(min_length=1)
    connect_timeout: float = Field(default=2.0, gt=0)
    network_timeout: float = Field(default=30.0, gt=0)
    store_path_index: int = Field(default=-1, ge=-1, le=254)
    group: str | None = None
    url_base: str | None = None
    secret_key: SecretStr | None = Field(default=None, min_length=1)
    token_ttl: int | None = Field(default=None, ge=1)
    link_filename: Literal["filename", "attname"] = "filename"
    address_map: dict[str, str] = Field(default_factory=dict)


def validated[Config: BaseModel](model: type[Config], values: Mapping[str, Any]) -> Config:
    """Return validated settings.

    Raises:
        InvalidArgumentException: A setting is wrong. The error names each wrong setting, without its value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InvalidArgumentException(f"{model.__name__}: {wrong}") from None
