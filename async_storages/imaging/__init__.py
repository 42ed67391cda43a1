"""Making images of images, in processes of their own, within limits: the pool, its engines and previewers.

Recipes, which say what is made, are in `async_storages.images.recipes`.
"""
