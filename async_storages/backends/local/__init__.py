"""Files in a local folder: `storage` is the whole; `folder` and the modules beside it do what blocks."""
