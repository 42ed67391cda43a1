"""Setting a bucket up: creating it, CORS, lifecycle rules. boto3 does it, in threads."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from async_storages._tasks import offload
from async_storages.backends.s3.answers import Failure
from async_storages.backends.s3.credentials import CredentialSource, import_boto3
from async_storages.backends.s3.wire import Wire
from async_storages.errors import StorageUnavailableException, during

__all__ = ["BucketAdmin"]

_MISSING = frozenset({"404", "NoSuchBucket", "NoSuchLifecycleConfiguration"})


class BucketAdmin:
    """Sets one bucket up, from deployment scripts and tests; every call costs some 50 ms for a client of boto3.

    Args:
        bucket: The bucket.
        credentials: With the permissions that this asks for.
        wire: Knows the server and the region.
    """

    def __init__(self, bucket: str, credentials: CredentialSource, wire: Wire) -> None:
        self._bucket = bucket
        self._credentials = credentials
        self._wire = wire

    async def exists(self) -> bool:
        """Whether the bucket is there; raises AccessDeniedException where these credentials may not know."""
        return await self._call("bucket.exists", self._exists)

    def _exists(self, client: Any) -> bool:
        try:
            client.head_bucket(Bucket=self._bucket)
        except client.exceptions.ClientError as error:
            if _code(error) in _MISSING:
                return False
            raise
        return True

    async def create(self) -> None:
        """Make the bucket, unless it is one's own already.

        Raises:
            StorageOperationException: Somebody else has the name.
        """

        def create(client: Any) -> None:
            region = self._wire.endpoint(self._bucket).region
            where = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
            try:
                client.create_bucket(Bucket=self._bucket, **where)
            except client.exceptions.BucketAlreadyOwnedByYou:
                return
            except client.exceptions.BucketAlreadyExists:
                if not self._exists(client):
                    raise

        await self._call("bucket.create", create)

    async def delete(self) -> None:
        """Remove the bucket, which must be empty."""
        await self._call("bucket.delete", lambda client: client.delete_bucket(Bucket=self._bucket))

    async def allow_origins(self, origins: Sequence[str], *, max_age: int = 3600) -> None:
        """Let browsers on these sites upload to the bucket and download from it directly (CORS).

        Args:
            origins: Such as ``"https://app.example.com"``; ``"*"`` for all. They replace those allowed before.
            max_age: Seconds that browsers may keep the permission.
        """
        rule = {
            "AllowedOrigins": list(origins),
            "AllowedMethods": ["GET", "HEAD", "PUT", "POST"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag", "Content-Length", "Content-Range", "Content-Disposition"],
            "MaxAgeSeconds": max_age,
        }
        await self._call(
            "bucket.allow_origins",
            lambda client: client.put_bucket_cors(Bucket=self._bucket, CORSConfiguration={"CORSRules": [rule]}),
        )

    async def expire(self, prefix: str, *, days: int) -> None:
        """Let the server delete files below a prefix, and what is left of multipart uploads there, after some days.

        Args:
            prefix: Such as ``"exports/"``; ``""`` for the whole bucket. Rules for other prefixes stay.
            days: At least 1.
        """
        rule = {
            "ID": f"async-storages:{prefix}",
            "Status": "Enabled",
            "Filter": {"Prefix": prefix},
            "Expiration": {"Days": days},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": min(days, 7)},
        }

        def expire(client: Any) -> None:
            others = [other for other in self._rules(client) if other.get("ID") != rule["ID"]]
            client.put_bucket_lifecycle_configuration(
                Bucket=self._bucket, LifecycleConfiguration={"Rules": [*others, rule]}
            )

        await self._call("bucket.expire", expire)

    def _rules(self, client: Any) -> list[dict[str, Any]]:
        try:
            rules: list[dict[str, Any]] = client.get_bucket_lifecycle_configuration(Bucket=self._bucket)["Rules"]
        except client.exceptions.ClientError as error:
            if _code(error) not in _MISSING:
                raise
            return []
        return rules

    async def _call[T](self, operation: str, work: Callable[[Any], T]) -> T:
        with during(operation, f"s3:{self._bucket}"):
            await self._credentials.resolve()
            return await offload(lambda: self._blocking(work))

    def _blocking[T](self, work: Callable[[Any], T]) -> T:
        found = self._credentials.at_hand()
        client = (
            import_boto3()
            .Session()
            .client(  # a session of its own, as they are not for several threads
                "s3",
                endpoint_url=self._wire.server_url,
                region_name=self._wire.endpoint(self._bucket).region,
                aws_access_key_id=found.access_key_id,
                aws_secret_access_key=found.secret_access_key,
                aws_session_token=found.session_token,
            )
        )
        exceptions = import_module("botocore.exceptions")
        try:
            return work(client)
        # the frames of boto3's errors hold the answer, and that holds its connection open
        except exceptions.ClientError as error:
            failure = Failure(error.response["ResponseMetadata"]["HTTPStatusCode"], _code(error))
            raise failure.error() from error.with_traceback(None)
        except exceptions.BotoCoreError as error:
            reason = f"the request failed ({type(error).__name__})"
            raise StorageUnavailableException(reason) from error.with_traceback(None)
        finally:
            client.close()


def _code(error: Any) -> str:
    return str(error.response["Error"]["Code"])
