"""Rules for the files that are let in: by extension, by size, and by their first bytes.

```python
rules = FileTypeConfig(whitelist=["jpg", "png"], type_whitelist=["image/*"])
validator = FileValidator(rules, max_file_size=10_000_000)

async with validator.open(upload) as content:  # refused here, or while it streams: nothing is stored then
    file = await storage.save(content)
```

A name passes the gate of `naming` before it is compared, so that no spelling of ``x.php`` is anything else. The
last extension counts, as it does for browsers and file systems: ``file.php.jpg`` is a picture.
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Unpack

from pydantic import AfterValidator, BaseModel, ConfigDict

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


def _each(clean: Callable[[str], str]) -> AfterValidator:
    """Make a hashable value of a collection, the same for every order and spelling."""
    return AfterValidator(lambda values: tuple(sorted({clean(value) for value in values})))


type _Extensions = Annotated[Sequence[str] | AbstractSet[str], _each(_extension)]
type _Types = Annotated[Sequence[str] | AbstractSet[str], _each(_type_pattern)]


class FileTypeConfig(BaseModel):
    """The types of file that are let in; an empty whitelist lets in every one, a blacklist always counts.

    Attributes:
        whitelist: Extensions, with or without a dot, in any letter case: ``"pdf"``, ``".PDF"``, ``"tar.gz"``.
        blacklist: Extensions as well. What follows one without a letter or digit hides none: ``x.php~`` is refused.
        type_whitelist: Content types, told from the first bytes and the name: ``"image/png"``, ``"image/*"``.
        type_blacklist: Content types as well, such as `sniff.ACTIVE_TYPES`.

    Raises:
        pydantic.ValidationError: Something is no extension or content type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    whitelist: _Extensions = ()
    blacklist: _Extensions = ()
    type_whitelist: _Types = ()
    type_blacklist: _Types = ()


_ANYTHING = FileTypeConfig()


@dataclass(frozen=True, slots=True)
class FileValidator:
    """Refuses files whose name, size or content is not allowed.

    Args:
        file_type_config: The types that are let in; None for all.
        max_file_size: The largest size in bytes, at least 1; None for any.
        image: The rules for images, which nothing but images keep; None for none.

    Raises:
        InvalidArgumentException: `max_file_size` is something else.
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
        """Refuse a name by its extension.

        Args:
            file_name: Any name, however hostile.

        Returns:
            The name as the gate leaves it, safe to store and to show: see `naming.clean_filename`.

        Raises:
            InvalidFileTypeException: The extension is not allowed.
            InvalidArgumentException: It is not a str.
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
        """Refuse a size in bytes; `file_name` is for the error.

        Raises:
            FileTooLargeException: It is above the limit.
        """
        with during("validate", file_name):
            check_size(size, self.max_file_size)

    def check_type(self, head: bytes, file_name: str) -> None:
        """Refuse content by its first bytes.

        Args:
            head: The first 4096 bytes, or all there are.
            file_name: It tells kinds of one container apart: a .docx is a zip.

        Raises:
            InvalidFileTypeException: The content is of a type that is not allowed.
        """
        rules, kind = self._rules, sniff.content_type(head, file_name)
        # no extension makes active content something else
        kinds = {kind, sniff.sniff(head)} if kind in sniff.ACTIVE_TYPES else {kind}
        is_blocked = any(_matches(each, rules.type_blacklist) for each in kinds)
        if is_blocked or (rules.type_whitelist and not _matches(kind, rules.type_whitelist)):
            reason = f"the content is {kind}, which is not allowed"
            raise InvalidFileTypeException(reason, operation="validate", file_id=file_name)

    async def check(self, content: Content) -> None:
        """Refuse content by its name, its first bytes and its size, as far as that is known before it is read.

        The content gets the clean name, so that the type that is stored is the one that was checked. The bytes that
        really come are counted by the content itself, if it has the limit as its `max_size`: `open` sees to that.

        Raises:
            InvalidFileTypeException: The extension or the content is not allowed.
            FileTooLargeException: The size is above the limit.
            InvalidArgumentException: There are rules for images, and the content can be read only once.
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
        """Content that keeps the rules: checked on entering, its size also while it streams; closed on leaving.

        Args:
            content: Bytes, a path, a binary file, an upload, a (async) iterable.
            file_name: Its name, untrusted; by default the content's own.
            **options: See `ContentOptions`; the smaller `max_size` counts.

        Raises:
            InvalidFileTypeException: The extension or the content is not allowed.
            FileTooLargeException: The size is above the limit, whatever was declared; raised on entering, or while
                the content is read, before its last chunk.
        """
        limits = [limit for limit in (self.max_file_size, options.get("max_size")) if limit is not None]
        if limits:
            options["max_size"] = min(limits)
        async with as_content(content, file_name, options) as opened:
            with during("validate", opened.filename):
                await self.check(opened)
                yield opened


def _found(name: str, extensions: Sequence[str] | AbstractSet[str]) -> str | None:
    """The extension that the name has, out of these."""
    return next((extension for extension in extensions if name.endswith(f".{extension}")), None)


def _matches(kind: str | None, patterns: Sequence[str] | AbstractSet[str]) -> bool:
    family = f"{(kind or '').partition('/')[0]}/*"
    return kind in patterns or family in patterns
