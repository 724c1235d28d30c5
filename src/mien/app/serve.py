"""``mien serve``: the command line's work, behind HTTP."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..secrecy import filled
from .laboratory import need
from .options import RangeSeconds, a_number
from .terminal import say, tell

if TYPE_CHECKING:
    from ..service.settings import ServiceSettings

app = typer.Typer(help="Read pictures for others: mien behind HTTP.")
keys = typer.Typer(help="Who may ask: keys are made, listed and revoked.", no_args_is_help=True)
app.add_typer(keys, name="keys")

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is, in any words.")]


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="The address to listen at. Any but this machine's own (127.0.0.1) needs a key.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="The port; 0 for any free one.")
    ] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Behind a proxy: a name that the service goes by (faces.example.org). May be "
            "repeated; needs a key.",
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(metavar="/PATH", help="Behind a proxy: what it takes off each path's front."),
    ] = "",
    tls_cert: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="Encrypt, with this certificate (PEM)."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option("--tls-key", metavar="FILE", help="Its key, where that is another file."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Pictures to read at once; 0 for as many as cores."),
    ] = 0,
    recordings: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Recordings, or ranges of them, to analyse at once; 0 only takes them.",
        ),
    ] = 1,
    range_s: RangeSeconds = 300.0,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where jobs are kept: sqlite:///FILE, or postgresql://USER@HOST/NAME "
            "for several services, which share MIEN_HOME, too. A file there if you do not say. "
            "${NAME} is filled from the environment.",
        ),
    ] = None,
    keep_days: Annotated[
        float,
        typer.Option(
            "--keep-days",
            metavar="N",
            min=0,
            help="How long a recording is kept after its job.",
            callback=a_number("--keep-days"),
        ),
    ] = 7.0,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open its page in this machine's browser.")
    ] = False,
    demo: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE", help="Start, read this picture through HTTP, say what to try, stop."
        ),
    ] = None,
) -> None:
    """Read the expressions in pictures: a page for people, and HTTP for programs.

    Records are those of mien analyze. Ctrl-C ends it, once what it has taken is answered.
    """
    if context.invoked_subcommand is not None:
        return
    need("mien serve", "fastapi", "uvicorn", "httptools", "sqlalchemy")
    from ..service.settings import ServiceSettings

    names = tuple(name.lower() for name in allow_host or ())
    settings = ServiceSettings(
        host,
        port,
        root_path,
        names,
        tls_cert,
        tls_key,
        workers=workers,
        database=database and filled(database),
        recordings=recordings,
        range_s=range_s,
        keep_days=keep_days,
    )
    if demo is None:
        _serve(settings, open_page)
    else:
        _demonstrate(settings, demo)


def _serve(settings: ServiceSettings, open_page: bool) -> None:
    from ..service import server
    from ..service.notice import NOTICE
    from ..service.settings import is_loopback

    serving = server.server(settings)
    listener = server.listening(settings)
    at = server.address(settings, listener)
    server.log_to_stderr()
    say(NOTICE)
    if not is_loopback(settings.host) and settings.tls_cert is None:
        say("mien: keys and pictures cross the network unencrypted; add --tls-cert and --tls-key")
    say(f"mien serves at {at}; its page is there, and {at}/openapi.json says what programs send")
    if open_page:
        _show(at)
    serving.run(sockets=[listener])


def _show(at: str) -> None:
    """Open an address, where there is a screen: a browser of the terminal's would take it over."""
    import webbrowser

    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(at)


def _demonstrate(settings: ServiceSettings, picture: Path) -> None:
    """One picture through a service that lives only for it.

    It has a home of its own: no key that this would need, and no recording that waits.
    """
    import shlex
    from tempfile import TemporaryDirectory

    import httpx

    from ..media.image import file_bytes
    from ..service import server
    from ..service.settings import ServiceSettings

    content = file_bytes(picture)
    with (
        TemporaryDirectory() as home,
        server.running(ServiceSettings(port=0, home=Path(home), workers=settings.workers)) as at,
        httpx.Client(base_url=at) as client,
    ):
        answer = client.post(
            "/v1/analyze",
            content=content,
            headers={"content-type": "application/octet-stream"},
            timeout=settings.request_s,
        )
    told: dict[str, Any] = answer.json()
    if not answer.is_success:
        say(f"mien: {told['detail']}")
        raise typer.Exit(1)
    (record,) = told["records"]
    tell(f"POST /v1/analyze  <-  {picture.name}, {len(content) / 1e3:.0f} kB")
    for face in record["faces"]:
        tell(f"  {face['top']} {face['emotions'][face['top']]:.2f}, uncertain: {face['uncertain']}")
    if not record["faces"]:
        tell("  no face")
    at = "http://127.0.0.1:8000"
    key = " -H 'Authorization: Bearer KEY'" if _keys().all() else ""
    tell("Try next, with `mien serve` in another terminal:")
    tell(f"  curl{key} -F {shlex.quote(f'files=@{picture}')} {at}/v1/analyze")
    kind = "Content-Type: application/octet-stream"
    sent = shlex.quote(f"@{picture}")
    tell(f"  curl{key} --data-binary {sent} -H '{kind}' {at}/v1/explain -o why.png")
    tell(f"  curl {at}/openapi.json")


@keys.command("add")
def keys_add(
    name: KeyName,
    a_minute: Annotated[
        int, typer.Option("--a-minute", metavar="N", min=1, help="Requests it may make a minute.")
    ] = 600,
    at_once: Annotated[
        int, typer.Option("--at-once", metavar="N", min=1, help="Requests it may make at a time.")
    ] = 16,
) -> None:
    """Make a key and show it, this once: only its hash is kept.

    A service that runs knows it at once. As soon as there is a key, every request needs one.
    """
    tell(_keys().add(name, a_minute, at_once))
    say(f"the key of {name}; it is shown this once. Send it as: Authorization: Bearer KEY")


@keys.command("list")
def keys_list() -> None:
    """List whose keys there are, and how much each may ask."""
    from . import console

    rows = [(k.name, k.made[:10], str(k.a_minute), str(k.at_once)) for k in _keys().all()]
    if not rows:
        say("no keys yet; make one with: mien serve keys add NAME")
        return
    console.key_values(rows, ("name", "made", "a minute", "at once"))


@keys.command("revoke")
def keys_revoke(name: KeyName) -> None:
    """Take a key away. A service that runs refuses it at once."""
    _keys().revoke(name)
    say(f"the key of {name} is revoked")


def _keys() -> Any:
    from ..service.keys import Keys
    from ..weights import catalogue

    return Keys(catalogue.home())
