"""The page at ``/``, with all that it loads: nothing of it comes from elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ..assets import WEIGHTS, Asset, assets, weights

router = APIRouter()

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    # Together they isolate the page, without which browsers give WebAssembly no threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Vary": "Accept-Encoding",
}
_FOR_EVER = "public, max-age=31536000, immutable"


def _answering(asset: Asset) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        headers = _HEADERS | {"Cache-Control": _FOR_EVER if asset.lasting else "no-cache"}
        if asset.compressed and "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            content = asset.file.read_bytes()
        else:
            content = asset.content()
        return Response(content, headers=headers, media_type=asset.kind)

    return answer


@router.get(WEIGHTS, include_in_schema=False)
async def listed() -> Response:
    """The addresses of the model files, by their names."""
    return JSONResponse(weights(), headers={"Cache-Control": "no-cache"})


for _asset in assets().values():
    router.add_api_route(
        _asset.path, _answering(_asset), methods=["GET", "HEAD"], include_in_schema=False
    )
