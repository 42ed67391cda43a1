"""Images: what their headers tell, without decoding them and without Pillow.

Import from `async_storages.images.probe`; this package itself loads nothing.
"""
