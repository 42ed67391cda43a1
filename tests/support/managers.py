"""Managers on test servers, or on servers that are never asked."""

import io

from starlette.datastructures import UploadFile

from async_storages import FastdfsConfig, S3Config, StorageManager, StorageModeConfig

NOWHERE = "127.0.0.1:1"
SECRET = "hidden-from-all"


def s3_config(server=None, bucket="photos", **settings):
    """The settings of a bucket on the server, or on one that does not answer."""
    found = {
        "endpoint": server.endpoint_url if server else f"http://{NOWHERE}",
        "access_key_id": server.access_key_id if server else "AKIDEXAMPLE",
        "secret_access_key": server.secret_access_key if server else SECRET,
        "default_bucket": bucket,
    }
    return S3Config(**{**found, **settings})


def fastdfs_config(server=None, **settings):
    """The settings of the cluster, or of one that does not answer."""
    return FastdfsConfig(**{"tracker_servers": [server.tracker if server else NOWHERE], **settings})


def offline(mode="hybrid", **options):
    """A manager whose servers are never asked."""
    return StorageManager(StorageModeConfig(mode=mode), s3_config(), fastdfs_config(), **options)


def upload_file(content=b"content", name="a.txt"):
    """What FastAPI hands over."""
    return UploadFile(io.BytesIO(content), filename=name)
