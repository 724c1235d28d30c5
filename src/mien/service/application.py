"""The application: every route, and what each request passes before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware import Middleware

from ..expression.recognize import Recognizer
from ..version import __version__
from . import document, problems
from .door import Body, Door, Watch
from .engine import Engine
from .intake import known_options
from .meters import Meters
from .recordings import Recordings
from .settings import ServiceSettings

ROUTERS = (
    "mien.service.routes.pictures:router",
    "mien.service.routes.videos:router",
    "mien.service.routes.stream:router",
    "mien.service.routes.models:router",
    "mien.service.routes.persons:router",
    "mien.service.routes.health:router",
    "mien.service.routes.page:router",
)
"""By name, so that what one of them needs is imported by nothing else."""


def create_app(
    settings: ServiceSettings | None = None, *, recognizer: Recognizer | None = None
) -> FastAPI:
    """The service, for uvicorn or any other server of ASGI.

    recognizer : in place of the models that requests name, which is how tests bring fakes.
    """
    settings = settings or ServiceSettings()
    engine = Engine(settings, recognizer)
    recordings = Recordings(settings)
    meters = Meters(engine, recordings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine.begin()
        await asyncio.to_thread(recordings.begin)
        try:
            yield
        except asyncio.CancelledError:  # a second Ctrl-C: whoever runs it waits for nothing more
            return
        engine.close()
        await asyncio.to_thread(recordings.close)

    app = FastAPI(
        title="mien",
        version=__version__,
        description=document.DESCRIPTION,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        dependencies=[Depends(known_options)],
        middleware=[
            Middleware(Watch, meters=meters),
            Middleware(Door, settings=settings),
            Middleware(Body, settings=settings),
        ],
    )
    app.state.settings, app.state.engine, app.state.meters = settings, engine, meters
    app.state.recordings = recordings
    problems.handle(app)
    for place in ROUTERS:
        app.include_router(_imported(place))
    document.describe(app)
    return app


def _imported(place: str) -> APIRouter:
    module, _, name = place.partition(":")
    router: APIRouter = getattr(import_module(module), name)
    return router
