"""The admin panel, at /admin."""

from typing import Any

from fastapi import FastAPI
from sqladmin import Admin

from async_storages.integrations.sqladmin import FileModelView
from profiles.models import Document, Profile


class ProfileAdmin(FileModelView, model=Profile):
    column_list = (Profile.id, Profile.name, Profile.picture)
    form_excluded_columns = (Profile.documents,)


class DocumentAdmin(FileModelView, model=Document):
    column_list = (Document.id, Document.profile, Document.file)


def add_admin(app: FastAPI, sessions: Any) -> None:
    """Add the panel; anybody may use it until it has an `authentication_backend`."""
    admin = Admin(app, session_maker=sessions)
    admin.add_view(ProfileAdmin)
    admin.add_view(DocumentAdmin)
