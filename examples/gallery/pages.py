"""The page, and the pieces of it that follow an upload, a new description or a deletion."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path as FilePath
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query, Request, Response, UploadFile
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from async_storages import LocalStorage, S3Storage, file_urls
from async_storages.integrations.fastapi import session_dependency
from gallery.models import LARGEST_FILE, LONGEST_ALT, RULES, VARIANTS, Photo, suggest_alt
from gallery.refusals import TOO_LARGE

PAGE = 60  # photographs
URLS_LAST = timedelta(days=1)
LARGEST_NUMBER = 2**31 - 1  # that a column of integers holds

templates = Environment(
    loader=FileSystemLoader(FilePath(__file__).with_name("templates")),
    autoescape=True,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
for name in templates.list_templates():
    templates.get_template(name)  # here, as files are read: later they are in memory

sessions = async_sessionmaker(expire_on_commit=False)  # `create_app` says on which database
SessionDep = Annotated[AsyncSession, session_dependency(sessions)]
Number = Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]

router = APIRouter(default_response_class=HTMLResponse)


async def get_photo(number: Number, session: SessionDep) -> Photo:
    """The photograph of the path."""
    photo = await session.get(Photo, number)
    if photo is None:
        raise HTTPException(404, "This photograph is gone.")
    return photo


PhotoDep = Annotated[Photo, Depends(get_photo)]


@router.get("/")
async def show_gallery(
    request: Request, session: SessionDep, before: Annotated[int, Query(ge=1, le=LARGEST_NUMBER)] = LARGEST_NUMBER
) -> Response:
    """The newest photographs, or those before a number."""
    query = select(Photo).where(Photo.id < before).order_by(Photo.id.desc()).limit(PAGE + 1)
    photos = (await session.scalars(query)).all()
    page = templates.get_template("gallery.html").render(
        photos=photos[:PAGE],
        urls=await urls_of(photos[:PAGE]),
        total=await session.scalar(select(func.count(Photo.id))),
        older=photos[PAGE - 1].id if len(photos) > PAGE else None,
        newest=before == LARGEST_NUMBER,
        sizes=list(VARIANTS),
        types=",".join(RULES.file_type_config.type_whitelist if RULES.file_type_config else ()),
        largest_file=LARGEST_FILE,
        too_large=TOO_LARGE,
        longest_alt=LONGEST_ALT,
    )
    return HTMLResponse(page, headers=request.app.state.page_headers)


@router.post("/photos")
async def add_photo(file: UploadFile, session: SessionDep) -> Response:
    """Upload a photograph; its variants are made, and stored with it."""
    photo = Photo(image=file, alt=suggest_alt(file.filename or ""))
    session.add(photo)
    await session.commit()
    return await tile(photo, 201)


@router.put("/photos/{number}/image")
async def replace_image(photo: PhotoDep, file: UploadFile, session: SessionDep) -> Response:
    """Put another image in its place; the one before goes with its variants."""
    photo.image = file
    await commit_change(session)
    return await tile(photo)


@router.put("/photos/{number}/alt")
async def describe(
    photo: PhotoDep, session: SessionDep, alt: Annotated[str, Form(max_length=LONGEST_ALT)] = ""
) -> Response:
    """Change the description."""
    photo.alt = alt.replace("\0", "").strip()
    await commit_change(session)
    return await tile(photo)


@router.delete("/photos/{number}", status_code=204)
async def delete_photo(photo: PhotoDep, session: SessionDep) -> None:
    """Delete a photograph with its image and all variants."""
    await session.delete(photo)
    await session.commit()


async def commit_change(session: AsyncSession) -> None:
    """Commit the change of a photograph that somebody else may have deleted."""
    try:
        await session.commit()
    except StaleDataError as error:
        raise HTTPException(404, "This photograph is gone.") from error


async def tile(photo: Photo, status: int = 200) -> Response:
    """A photograph as the grid shows it."""
    urls = await urls_of([photo])
    return HTMLResponse(
        templates.get_template("tile.html").render(photo=photo, urls=urls, sizes=list(VARIANTS)), status
    )


async def urls_of(photos: Sequence[Photo]) -> dict[str, str]:
    """The URLs of all images and their variants; the same ones for an hour, so that browsers keep what they have."""
    images = [photo.image for photo in photos]
    variants = [image.variant(name) for image in images for name in VARIANTS]
    return await file_urls(
        [*images, *variants], expires_in=URLS_LAST.total_seconds(), stable=timedelta(hours=1)
    )


async def page_headers(storage: LocalStorage | S3Storage) -> dict[str, str]:
    """The headers of the page: it loads nothing but from here, and images from where the storage keeps them."""
    [url] = await storage.presigned_urls([str(storage.identify("any"))])
    parts = urlsplit(url)
    images = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
    allowed = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": f"'self' {images}".strip(),
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in allowed.items()),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
