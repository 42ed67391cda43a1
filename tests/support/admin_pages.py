"""The pages of an admin panel in a browser."""

import re


class Pages:
    """The pages of a panel."""

    def __init__(self, page, panel, url, storage):
        self.page, self.panel, self.url, self.storage = page, panel, url, storage

    async def open(self, path):
        await self.page.goto(f"{self.url}{path}")

    async def press_save(self, button="Save"):
        """Begin to send the form."""
        buttons = self.page.locator(f'input[value="{button}"]').or_(
            self.page.get_by_role("button", name=button, exact=True)
        )
        await buttons.first.click()

    async def save(self, button="Save"):
        """Send the form, and wait for the next page."""
        async with self.page.expect_navigation():
            await self.press_save(button)

    async def create(self, title, photo, pages):
        await self.open(self.panel.create_path())
        await self.page.fill("#title", title)
        await self.page.set_input_files("#photo", photo)
        await self.page.set_input_files("#pages", pages)
        await self.save()

    async def edit(self):
        await self.open(self.panel.edit_path())

    async def delete(self):
        await self.open(self.panel.details_path())
        await self.page.get_by_text("Delete", exact=True).first.click()
        async with self.page.expect_navigation():
            await self.page.locator(".modal.show").get_by_role("button", name=re.compile("Delete|Yes")).click()

    async def thumbnails(self):
        """The sizes of the pictures that the page shows, once they have come."""
        await self.page.wait_for_function("() => [...document.images].every(image => image.complete)")
        return await self.page.evaluate(
            "() => [...document.querySelectorAll('a img')].filter(image => image.src.includes('/signed/'))"
            ".map(image => [image.naturalWidth, image.naturalHeight])"
        )
