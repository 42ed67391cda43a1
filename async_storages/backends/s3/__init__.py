"""Amazon S3 and other servers with its protocol: MinIO, Ceph, SeaweedFS, R2."""
