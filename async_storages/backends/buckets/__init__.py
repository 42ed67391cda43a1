"""The common part of the S3 and Google Cloud Storage backends."""
