"""ASGI applications, Starlette's and FastAPI's, served over HTTP on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The URL of the application on a free port of 127.0.0.1, within its lifespan."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await _answered(app, request)

    bridge = web.Application(client_max_size=0)
    bridge.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(bridge, handler_cancellation=True)  # a client that has gone ends its request
    async with app.router.lifespan_context(app):
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def _answered(app: Any, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    has_ended = False

    async def receive() -> dict[str, Any]:
        nonlocal has_ended
        if has_ended:
            await asyncio.Event().wait()  # for the client to go, which cancels everything
        body = await request.content.readany()
        has_ended = request.content.at_eof()
        return {"type": "http.request", "body": body, "more_body": not has_ended}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            response.set_status(message["status"])
            for name, value in message["headers"]:
                response.headers.add(name.decode("latin-1"), value.decode("latin-1"))
            await response.prepare(request)
        else:
            await response.write(message.get("body", b""))

    await app(_scope(request), receive, send)
    return response


def _scope(request: web.Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.rel_url.raw_path.encode(),
        "query_string": request.rel_url.raw_query_string.encode(),
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": None,
        "server": ("127.0.0.1", request.url.port),
    }
