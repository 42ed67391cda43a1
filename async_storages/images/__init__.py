"""Images: their dimensions from their headers, recipes and formats. These modules do not decode images.

Import from the modules, for example from `async_storages.images.probe`. This package itself imports nothing.
"""
