"""Rules that allow or refuse files by their extension, their size and their first bytes.

```python
rules = FileTypeConfig(whitelist=["jpg", "png"], type_whitelist=["image/*"])
validator = FileValidator(rules, max_file_size=10_000_000)

async with validator.open(upload) as content:  # refused here, or while it streams: nothing is stored then
    file = await storage.save(content)
```

The validator cleans a name with `naming` before it compares the extension, so no spelling of ``x.php`` can hide it. The
last extension counts, as for browsers and file systems: ``file.php.jpg`` is a picture.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from pydantic import BaseModel, ConfigDict, field_validator

from async_storages import naming, sniff
from async_storages._moved import moved_names
from async_storages.content import Content, ContentOptions, PendingFile, as_content
from async_storages.errors import InvalidArgumentException, InvalidFileTypeException, during
from async_storages.image_rules import ImageRules
from async_storages.size_limits import check_size
from async_storages.sources import ByteSource, Source

__all__ = ["FileTypeConfig", "FileValidator"]

if not TYPE_CHECKING:
    __getattr__ = moved_names(__name__, {"FileValidatorImpl": "validation:FileValidator"})

_LONGEST_NAME = 238  # bytes: what `save` has room for; cut after it was checked, a name could get another extension
_TYPE_PATTERN = re.compile(r"[a-z0-9][\w.+-]*/(?:\*|[a-z0-9][\w.+-]*)", re.ASCII)
_TRAILING_JUNK = re.compile(r"[\W_]+\Z")


def _extension(value: str) -> str:
    cleaned = naming.clean_filename(f"x.{value.strip(' .*')}").casefold()
    if not cleaned.startswith("x."):
        raise ValueError(f"{value!r} is not a file extension such as 'pdf'")
    return cleaned.removeprefix("x.")


def _type_pattern(value: str) -> str:
    if not _TYPE_PATTERN.fullmatch(value.strip().lower()):
        raise ValueError(f"{value!r} is not a content type such as 'image/png' or 'image/*'")
    return value.strip().lower()


def _each(clean: Callable[[str], str], values: Iterable[str]) -> tuple[str, ...]:
    """Convert a collection to a hashable value, which is the same for every order and spelling."""
    return tuple(sorted({clean(value) for value in values}))


class FileTypeConfig(BaseModel):
    """The allowed types of files. An empty whitelist allows every type. A blacklist always applies.

    Attributes:
        whitelist: The allowed extensions, with or without a dot, in any letter case: ``"pdf"``, ``".PDF"``,
            ``"tar.gz"``.
        blacklist: The refused extensions. Trailing characters other than letters and digits do not hide an extension:
            ``"php"`` refuses ``x.php~``.
        type_whitelist: The allowed content types: ``"image/png"``, ``"image/*"``. The first bytes and the name of a
            file decide its type.
        type_blacklist: The refused content types, for example `sniff.ACTIVE_TYPES`.

    Raises:
        pydantic.ValidationError: A value is not an extension or content type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    whitelist: Sequence[str] | AbstractSet[str] = ()
    blacklist: Sequence[str] | AbstractSet[str] = ()
    type_whitelist: Sequence[str] | AbstractSet[str] = ()
    type_blacklist: Sequence[str] | AbstractSet[str] = ()

    @field_validator("whitelist", "blacklist")
    @classmethod
    def _clean_extensions(cls, values: Iterable[str]) -> tuple[str, ...]:
        return _each(_extension, values)

    @field_validator("type_whitelist", "type_blacklist")
    @classmethod
    def _clean_types(cls, values: Iterable[str]) -> tuple[str, ...]:
        return _each(_type_pattern, values)


_ANYTHING = FileTypeConfig()


@dataclass(frozen=True, slots=True)
class FileValidator:
    """Refuses files whose name, size or content is not allowed.

    Args:
        file_type_config: The allowed types. None allows all.
        max_file_size: The largest size in bytes, at least 1. None allows every size.
        image: The rules for images. They refuse every file that is not an image. None applies no such rules.

    Raises:
        InvalidArgumentException: `max_file_size` is not a number of bytes above 0.
    """

    file_type_config: FileTypeConfig | None = None
    max_file_size: int | None = None
    image: ImageRules | None = None

    def __post_init__(self) -> None:
        limit = self.max_file_size
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise InvalidArgumentException(f"max_file_size is a number of bytes above 0 or None, not {limit!r}")

    @property
    def _rules(self) -> FileTypeConfig:
        return self.file_type_config or _ANYTHING

    def check_name(self, file_name: str) -> str:
        """Check the extension of a file name.

        Args:
            file_name: Any name, even a hostile one.

        Returns:
            The cleaned name, which is safe to store and to show: see `naming.clean_filename`.

        Raises:
            InvalidFileTypeException: The extension is not allowed.
            InvalidArgumentException: The name is not a str.
        """
        with during("validate", file_name):
            cleaned = naming.clean_filename(file_name, max_bytes=_LONGEST_NAME)
            name, rules = cleaned.casefold(), self._rules
            refused = _found(_TRAILING_JUNK.sub("", name), rules.blacklist) or _found(name, rules.blacklist)
            if refused:
                raise InvalidFileTypeException(f"the extension {refused!r} is not allowed")
            if rules.whitelist and not _found(name, rules.whitelist):
                raise InvalidFileTypeException(f"the extension must be one of: {', '.join(rules.whitelist)}")
            return cleaned

    def check_size(self, size: int, file_name: str | None = None) -> None:
        """Check a size.

        Args:
            size: Bytes.
            file_name: The name of the file, for the error message.

        Raises:
            FileTooLargeException: The size is above `max_file_size`.
        """
        with during("validate", file_name):
            check_size(size, self.max_file_size)

    def check_type(self, head: bytes, file_name: str) -> None:
        """Check the content type that the first bytes show.

        Args:
            head: The first 4096 bytes, or all bytes if there are fewer.
            file_name: The file's name. Its extension tells apart formats with one container: a .docx is a zip.

        Raises:
            InvalidFileTypeException: The content type is not allowed.
        """
        rules, kind = self._rules, sniff.content_type(head, file_name)
        # no extension makes active content something else
        kinds = {kind, sniff.sniff(head)} if kind in sniff.ACTIVE_TYPES else {kind}
        is_blocked = any(_matches(each, rules.type_blacklist) for each in kinds)
        if is_blocked or (rules.type_whitelist and not _matches(kind, rules.type_whitelist)):
            reason = f"the content is {kind}, which is not allowed"
            raise InvalidFileTypeException(reason, operation="validate", file_id=file_name)

    async def check(self, content: Content) -> None:
        """Check the name, the first bytes and, if known, the size of content that is not read yet.

        It sets the clean name on the content, so that the stored type is the checked one. It does not check the
        size of bytes that arrive later. `open` does, because it sets the `max_size` of the content.

        Args:
            content: The content.

        Raises:
            InvalidFileTypeException: The extension or the content is not allowed.
            FileTooLargeException: The size is above `max_file_size`.
            InvalidArgumentException: The validator has rules for images, and the content can be read only once.
        """
        name = content.filename or ""
        with during("validate", name):
            cleaned = self.check_name(name)
            self.check_size(await content.measure() or 0, name)
            if self._rules.type_whitelist or self._rules.type_blacklist:
                self.check_type(await content.head(), cleaned)
            content.filename = cleaned
            if self.image is not None:
                await self.image.check(content)

    @asynccontextmanager
    async def open(
        self,
        content: Source | ByteSource | PendingFile,
        file_name: str | None = None,
        **options: Unpack[ContentOptions],
    ) -> AsyncIterator[Content]:
        """Open content for an `async with` block and check it. The size is also checked while the content streams.

        The end of the block closes the content.

        Args:
            content: Bytes, a path, a binary file, an upload, or an iterable or async iterable.
            file_name: The file's name, untrusted. By default the name of the content.
            **options: See the arguments of `Content`. The smaller of `max_size` and `max_file_size` applies.

        Raises:
            InvalidFileTypeException: The extension or the content is not allowed.
            FileTooLargeException: The content is larger than the limit, even if it declares a smaller size. The error
                comes at the beginning of the block, or while the content is read, before its last chunk.
        """
        limits = [limit for limit in (self.max_file_size, options.get("max_size")) if limit is not None]
        if limits:
            options["max_size"] = min(limits)
        async with as_content(content, file_name, options) as opened:
            with during("validate", opened.filename):
                await self.check(opened)
                yield opened


def _found(name: str, extensions: Sequence[str] | AbstractSet[str]) -> str | None:
    """Return the one of these extensions that the name has, or None."""
    return next((extension for extension in extensions if name.endswith(f".{extension}")), None)


def _matches(kind: str | None, patterns: Sequence[str] | AbstractSet[str]) -> bool:
    family = f"{(kind or '').partition('/')[0]}/*"
    return kind in patterns or family in patterns
