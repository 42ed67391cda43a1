"""Files in a local folder: `storage` is the storage; `folder` and the modules beside it do the blocking work."""
