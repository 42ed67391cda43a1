"""Amazon S3, and whatever else speaks its protocol: MinIO, Ceph, SeaweedFS, R2."""
