"""Signed URLs of variants. They never change, and the first request to one makes the variant."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote
from weakref import WeakKeyDictionary

from async_storages._secrets import hidden
from async_storages.errors import (
    AccessDeniedException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageException,
)
from async_storages.files import StoredImage
from async_storages.ids import FileId
from async_storages.images.recipes import Variant
from async_storages.registry import StorageRef
from async_storages.signing import LastingSigner
from async_storages.storage.base import Storage
from async_storages.upload_options import UploadOptions
from async_storages.variants.keys import variant_extension, variant_id

__all__ = ["LinkedVariant", "VariantLinks"]


@dataclass(frozen=True, slots=True)
class LinkedVariant:
    """The variant of a URL.

    Attributes:
        storage: The storage of the original.
        original: The id of the original.
        name: The name of the variant.
        recipe: Its recipe.
        options: The upload options of its column.
    """

    storage: Storage
    original: FileId
    name: str
    recipe: Variant
    options: UploadOptions | None

    @property
    def file(self) -> StoredImage:
        """The file of the variant. It need not exist."""
        return StoredImage(variant_id(self.original, self.name, self.recipe), self.storage)


class VariantLinks:
    """Makes signed URLs for the variants of columns. A route of your application makes and serves the variants.

    A URL does not expire, so browsers and CDNs can cache the variant. Every client that has the URL can see the variant
    as long as the image exists. The URL names the image and the recipe, and the signature prevents changes to both.

    Args:
        base_url: The URL of the routes, for example ``"https://example.com/variants"``, or only its path.
        secret_key: Signs the URLs. One secret, or several for rotation: the last one signs, all of them are accepted.

    Raises:
        InvalidArgumentException: `base_url` or a secret is empty.

    Example:
        >>> links = VariantLinks("/variants", secret)
        >>> recipes = Variants(card=Variant(width=800, when="request"))
        >>> column = ImageType("photos", variants=recipes, variant_links=links)
    """

    def __init__(self, base_url: str, secret_key: str | Sequence[str]) -> None:
        secret_key = hidden(secret_key)
        if not isinstance(base_url, str) or not base_url:
            raise InvalidArgumentException(f"base_url is the URL or path of the routes, not {base_url!r}")
        self.base_url = base_url.rstrip("/")
        self._signer = LastingSigner(secret_key, "variant")
        self._columns: WeakKeyDictionary[StorageRef, UploadOptions | None] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Pickle as None, because types of columns are pickled and the secret must not be."""
        return type(None), ()

    def add_column(self, ref: StorageRef, options: UploadOptions | None) -> None:
        """Register a column, so that its variants can be made.

        Args:
            ref: The column's `StorageRef`, which finds its storage.
            options: The upload options of the column. Its variants are stored with them.
        """
        self._columns[ref] = options

    def url(self, image: StoredImage, name: str, recipe: Variant) -> str:
        """Return the percent-encoded URL of a variant. No I/O."""
        storage = image.storage
        original = storage.identify(image.file_id)
        leaf = _leaf(original, name, recipe)
        signature = self._signer.sign(_signed(storage, original, leaf))
        return f"{self.base_url}/{signature}/{quote(f'{original}/{leaf}', safe='/~:')}"

    def find(self, signature: str, path: str) -> LinkedVariant:
        """Return the variant of a URL. No I/O.

        Args:
            signature: The first segment of the URL after `base_url`.
            path: The rest of the URL, percent-decoded.

        Raises:
            AccessDeniedException: The URL was altered, or made with another secret.
            FileNotFoundException: No column declares the variant any more.
        """
        signature = hidden(signature)
        named, _, leaf = path.rpartition("/")
        name = leaf.partition("-")[0]
        is_signed = False
        for ref, options in list(self._columns.items()):
            try:
                storage = ref.resolve().storage_for(named)
                original = storage.identify(named)
            except StorageException:
                continue
            if str(original) != named or not self._signer.is_signed(_signed(storage, original, leaf), signature):
                continue
            is_signed = True
            recipe = None if ref.variants is None else ref.variants.get(name)
            if recipe is not None and leaf == _leaf(original, name, recipe):
                return LinkedVariant(storage, original, name, recipe, options)
        if is_signed:
            raise FileNotFoundException("no column declares this variant any more", operation="serve", file_id=path)
        raise AccessDeniedException("the URL of the variant was not made here", operation="serve")


def _leaf(original: FileId, name: str, recipe: Variant) -> str:
    return f"{name}-{recipe.digest}.{variant_extension(recipe, original.key)}"


def _signed(storage: Storage, original: FileId, leaf: str) -> str:
    """Return the text to sign. It includes the storage, because two folders may hold files with equal ids."""
    return f"{storage.name or storage.location or ''}\n{original}/{leaf}"
