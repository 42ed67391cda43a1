"""The ZIP format, without I/O: names, headers and blocks for `async_storages.zipping`."""
