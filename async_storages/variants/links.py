"""URLs of variants that an application makes when they are first asked for: signed, and the same for good."""

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
    """The variant that a URL names.

    Attributes:
        storage: The storage of the original.
        original: The original.
        name: The name of the variant.
        recipe: Its recipe.
        options: The options of its column's uploads.
    """

    storage: Storage
    original: FileId
    name: str
    recipe: Variant
    options: UploadOptions | None

    @property
    def file(self) -> StoredImage:
        """The variant, which need not be there."""
        return StoredImage(variant_id(self.original, self.name, self.recipe), self.storage)


class VariantLinks:
    """The URLs of the variants of some columns, under which an application makes and gives them.

    A URL does not expire, so that browsers and CDNs keep what it gives: whoever has it sees the variant for as long as
    there is the image. It names the image and the recipe; nobody can make another one of it.

    Args:
        base_url: The URL of the routes, such as ``"https://example.com/variants"``, or its path alone.
        secret_key: Signs the URLs: one secret, or several for rotation. The last one signs, all of them are accepted.

    Raises:
        InvalidArgumentException: No URL, or a secret that is empty.

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
        """Pickled as None, as by types of columns: the secret stays here."""
        return type(None), ()

    def add_column(self, ref: StorageRef, options: UploadOptions | None) -> None:
        """Let the variants of a column be made.

        Args:
            ref: The column's.
            options: The options of its uploads, which its variants are stored with.
        """
        self._columns[ref] = options

    def url(self, image: StoredImage, name: str, recipe: Variant) -> str:
        """The URL of a variant, percent-encoded; no I/O."""
        storage = image.storage
        original = storage.identify(image.file_id)
        leaf = _leaf(original, name, recipe)
        signature = self._signer.sign(_signed(storage, original, leaf))
        return f"{self.base_url}/{signature}/{quote(f'{original}/{leaf}', safe='/~:')}"

    def find(self, signature: str, path: str) -> LinkedVariant:
        """The variant that a URL names; no I/O.

        Args:
            signature: The segment of the URL behind `base_url`.
            path: The rest of it, percent-decoded.

        Raises:
            AccessDeniedException: It was not made here, or altered.
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
    """The text that is signed: two folders may hold files of one id."""
    return f"{storage.name or storage.location or ''}\n{original}/{leaf}"
