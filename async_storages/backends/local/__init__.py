"""Files in a local folder: `storage` is the storage, `folder` and its helper modules do the blocking work."""
