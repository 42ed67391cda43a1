"""Remedies for problems that ``async-storages doctor`` finds. Pure."""

from async_storages.errors import (
    AccessDeniedException,
    FileNotFoundException,
    StorageException,
    StorageUnavailableException,
)
from async_storages.storage.base import Storage

__all__ = ["S3_CORS", "S3_LIFECYCLE", "remedy_for"]

_S3_ACTIONS = {
    "reach": "s3:ListBucket",
    "write": "s3:PutObject",
    "read": "s3:GetObject",
    "stat": "s3:GetObject",
    "list": "s3:ListBucket",
    "copy": "s3:GetObject and s3:PutObject",
    "multipart upload": "s3:PutObject and s3:AbortMultipartUpload",
    "delete": "s3:DeleteObject",
}
_GCS_PERMISSIONS = {
    "reach": "storage.objects.list",
    "write": "storage.objects.create",
    "read": "storage.objects.get",
    "stat": "storage.objects.get",
    "list": "storage.objects.list",
    "copy": "storage.objects.get and storage.objects.create",
    "multipart upload": "storage.objects.create",
    "delete": "storage.objects.delete",
}
S3_CORS = "where browsers upload or read directly: await storage.bucket_admin.allow_origins(['https://…'])"
S3_LIFECYCLE = (
    "killed uploads leave parts, which cost money and which listings do not show: run once "
    "await storage.bucket_admin.expire_uploads(), and the server deletes them after 7 days"
)


def remedy_for(storage: Storage, check: str, error: StorageException) -> str:
    """Return a sentence that says how to repair the cause of an error.

    Args:
        storage: The storage.
        check: The step that failed.
        error: The error of the step.
    """
    if check.startswith("presigned"):
        return (
            "look at public_url and at what stands between here and there: the URL must reach the server unchanged, "
            "with the host that was signed, and the account must be allowed what the URL asks for"
        )
    if isinstance(error, AccessDeniedException):
        return _permission(storage, check)
    if isinstance(error, StorageUnavailableException):
        return f"is {storage.location} right, and is it reachable from here (network, firewall, proxy, DNS)?"
    if isinstance(error, FileNotFoundException) and check == "reach":
        return f"make the bucket {storage.bucket!r}, or correct its name, its region or the endpoint"
    if storage.scheme == "file":
        return f"let the user of this process create, read and remove files in {storage.location}"
    return "look at the server's log for this moment, and at what stands between here and there"


def _permission(storage: Storage, check: str) -> str:
    if storage.scheme == "s3":
        action = _S3_ACTIONS.get(check, "s3:*")
        where = f"arn:aws:s3:::{storage.bucket}"
        resource = where if action == "s3:ListBucket" else f"{where}/{storage.prefix}*"
        return f"allow these credentials {action} on {resource}; a wrong secret or a wrong clock looks the same"
    if storage.scheme == "gs":
        permission = _GCS_PERMISSIONS.get(check, "storage.objects.*")
        return f"grant the account {permission} on the bucket {storage.bucket} (roles/storage.objectUser has all)"
    return f"let this process do it in {storage.location}"
