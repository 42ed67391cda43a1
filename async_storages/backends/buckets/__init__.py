"""The common half of the S3 and Google Cloud Storage backends."""
