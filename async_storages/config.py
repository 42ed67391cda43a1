"""Settings, as pydantic models: what is wrong or unknown in them is refused at start, and no secret is ever shown."""

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
    """New files go to S3; those in FastDFS are read, and can be deleted, as well."""


class StorageModeConfig(_Config):
    """The mode of a `StorageManager`.

    Attributes:
        mode: Hybrid by default.
    """

    mode: StorageMode = StorageMode.HYBRID


class S3Config(_Config):
    """An S3 server and its default bucket; see `S3Storage` for what each of the settings does.

    Attributes:
        endpoint: The server, with or without scheme; None for AWS.
        access_key_id: The access key; without one boto3 finds credentials as every AWS tool does.
        secret_access_key: Its secret.
        session_token: For temporary credentials.
        default_bucket: Where files go unless another bucket is named.
        region: The bucket's region; by default found where `S3Storage` finds it.
        use_ssl: For an endpoint without a scheme.
        addressing_style: ``"auto"``, ``"path"`` or ``"virtual"``.
        default_acl: A canned ACL for new objects.
        custom_domain: A CDN's domain, for the default bucket.
        querystring_auth: Whether URLs are presigned.
        public_url: The server as browsers reach it.
        storage_class: For new objects.
        conditional_writes: Whether the server honours ``If-None-Match``; ``"auto"`` finds it out.
        checksums: ``"auto"``, ``"required"`` or ``"never"``.
        upload_options: What else new objects have.
        requester_pays: Agree to pay, in a bucket whose requesters do.
        profile_name: The profile to take credentials, region and server from, where no access key is given.
        proxy: ``"http://user:password@host:port"``; by default what the environment says.
        ca_bundle: A file of certificates that are trusted instead of the system's.
        verify: Whether certificates are checked.
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
    """A bucket of Google Cloud Storage; see `GCSStorage` for what each of the settings does.

    Attributes:
        default_bucket: Where files go unless another bucket is named.
        service_file: The JSON file of a service account; without one credentials are found as Google's tools do.
        service_account_info: What such a file holds.
        endpoint: Another server, such as an emulator.
        anonymous: Use no credentials.
        custom_domain: A CDN's domain, for the default bucket.
        querystring_auth: Whether URLs are presigned.
        public_url: The server as browsers reach it.
        prefix: A folder to keep to.
        storage_class: For new objects.
        predefined_acl: For new objects.
        upload_options: What else new objects have.
        user_project: The project that pays, where a bucket's requesters do.
        proxy: ``"http://user:password@host:port"``; by default what the environment says.
        ca_bundle: A file of certificates that are trusted instead of the system's.
        verify: Whether certificates are checked.
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
    """A FastDFS cluster, and how its files are reached by HTTP.

    Attributes:
        tracker_servers: ``host:port`` of each tracker; the port is 22122 by default.
        connect_timeout: Seconds to connect.
        network_timeout: Seconds without a byte after which a transfer counts as broken.
        store_path_index: The disk to upload to, 0 to 254; -1 leaves the choice to FastDFS.
        group: The group to upload to; None leaves the choice to FastDFS.
        url_base: Where nginx serves the files: ``https://files.example.com``, without the group.
        secret_key: ``http.anti_steal.secret_key`` of that server, if it checks tokens.
        token_ttl: Its ``http.anti_steal.token_ttl``, in seconds: links are then given an expiry of their own.
        link_filename: The query parameter in which links name an attachment: ``filename`` for FastDFS's nginx module,
            ``attname`` for the usual recipes that add a header in nginx's own configuration.
        address_map: The addresses at which this machine reaches servers that trackers name otherwise, as behind NAT or
            in Docker: ``host:port``, or ``host`` for all its ports, by the same of the other one.
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
    """The settings, or a clear error.

    Raises:
        InvalidArgumentException: Names each setting that is wrong, without its value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InvalidArgumentException(f"{model.__name__}: {wrong}") from None
