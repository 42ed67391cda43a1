"""The page, and the tiles that answer an upload, a replacement or a new description."""

from pathlib import Path as FilePath
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query, Request, Response, UploadFile
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from async_storages import LocalStorage, S3Storage
from async_storages.integrations.fastapi import session_dependency
from gallery.models import LARGEST_FILE, LONGEST_ALT, TYPES, Photo, suggest_alt
from gallery.refusals import TOO_LARGE
from gallery.tiles import tiles_of

ON_A_PAGE = 60  # photographs
LARGEST_NUMBER = 2**31 - 1  # that a column of integers holds

templates = Environment(
    loader=FileSystemLoader(FilePath(__file__).with_name("templates")), autoescape=True, auto_reload=False
)
templates.globals.update(types=TYPES, largest_file=LARGEST_FILE, too_large=TOO_LARGE, longest_alt=LONGEST_ALT)
for name in templates.list_templates():
    templates.get_template(name)  # read here and kept, as no request may wait for a disk

sessions = async_sessionmaker(expire_on_commit=False)  # `create_app` says on which database
SessionDep = Annotated[AsyncSession, session_dependency(sessions)]
Number = Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]
Before = Annotated[int, Query(ge=1, le=LARGEST_NUMBER, description="The last photograph of the page before")]

router = APIRouter()


async def get_photo(number: Number, session: SessionDep) -> Photo:
    """The photograph of the path."""
    photo = await session.get(Photo, number)
    if photo is None:
        raise HTTPException(404, "This photograph is gone.")
    return photo


PhotoDep = Annotated[Photo, Depends(get_photo)]


@router.get("/")
async def show_gallery(request: Request, session: SessionDep, before: Before | None = None) -> Response:
    """The newest photographs, or those that are older than one."""
    query = select(Photo).order_by(Photo.id.desc()).limit(ON_A_PAGE + 1)
    found = (await session.scalars(query if before is None else query.where(Photo.id < before))).all()
    photos = found[:ON_A_PAGE]
    page = templates.get_template("gallery.html").render(
        tiles=await tiles_of(photos),
        total=await session.scalar(select(func.count(Photo.id))),
        older=photos[-1].id if len(found) > len(photos) else None,
        is_newest=before is None,
    )
    return HTMLResponse(page, headers=request.app.state.page_headers)


@router.post("/photos")
async def add_photo(file: UploadFile, session: SessionDep) -> Response:
    """Upload a photograph; its variants are made and stored with it."""
    photo = Photo(image=file, alt=suggest_alt(file.filename or ""))
    session.add(photo)
    await session.commit()
    return await tile_answer(photo, 201)


@router.put("/photos/{number}/image")
async def replace_image(photo: PhotoDep, file: UploadFile, session: SessionDep) -> Response:
    """Put another image in its place; the one before goes with its variants."""
    photo.image = file
    await commit_change(session)
    return await tile_answer(photo)


@router.put("/photos/{number}/alt")
async def describe(
    photo: PhotoDep, session: SessionDep, alt: Annotated[str, Form(max_length=LONGEST_ALT)] = ""
) -> Response:
    """Change the description."""
    photo.alt = alt.replace("\0", "").strip()  # PostgreSQL has no NUL
    await commit_change(session)
    return await tile_answer(photo)


@router.delete("/photos/{number}", status_code=204)
async def delete_photo(photo: PhotoDep, session: SessionDep) -> None:
    """Delete a photograph with its image and all variants."""
    await session.delete(photo)
    await session.commit()


async def commit_change(session: AsyncSession) -> None:
    """Commit the change of a photograph, which somebody else may have deleted."""
    try:
        await session.commit()
    except StaleDataError as error:
        raise HTTPException(404, "This photograph is gone.") from error


async def tile_answer(photo: Photo, status: int = 200) -> Response:
    """A photograph as the grid shows it."""
    [tile] = await tiles_of([photo])
    return HTMLResponse(templates.get_template("tile.html").render(tile=tile), status)


async def page_headers(storage: LocalStorage | S3Storage) -> dict[str, str]:
    """The headers of the page, which loads nothing but its own files, and images from their storage."""
    [url] = await storage.presigned_urls([str(storage.identify("any.webp"))])
    images = urlsplit(url)
    sources = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": f"'self' {images.scheme}://{images.netloc}" if images.netloc else "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {allowed}" for name, allowed in sources.items()),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
