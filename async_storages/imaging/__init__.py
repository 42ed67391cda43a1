"""Making images from images, in separate processes and within limits: the pool, its engines and its previewers.

The recipes for the images are in `async_storages.images.recipes`.
"""
