"""Files on a disk or elsewhere (``s3://``, ``gs://``, ``hdfs://``), read and written alike."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import InputError, MissingExtra, OutputError
from ..secrecy import public

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_GIVE_UP_S = 60  # a store of Google's that does not answer; by itself it tries for 15 minutes
_PART = re.compile(r"(.+)\.[0-9a-f]+\.part", re.DOTALL)
_WHOLE_AT_ONCE = ("s3", "gcs")
"""Object stores: an object is there when all of it is there."""


def is_elsewhere(address: str) -> bool:
    return "://" in address


def opened(address: str) -> tuple[FileSystem, str]:
    """The file system of an address, and the path in it; raises InputError, MissingExtra.

    Of a folder or a manifest, as a user gives it: what stands behind a ``?`` says how its store is
    reached, in Arrow's words (``endpoint_override=...``).
    """
    plain, asked = parted(address)
    try:
        plain.encode()
    except UnicodeEncodeError as err:
        raise InputError(f"{public(plain)} is not spelled in UTF-8; rename it") from err
    if not is_elsewhere(plain):
        return file_system("file://")[0], os.path.abspath(plain)
    head, inside = split(plain)
    files, root = file_system(head, asked)
    return files, at(root, inside)


def parted(address: str) -> tuple[str, str]:
    """An address, and what it says of how its store is reached."""
    plain, _, asked = address.partition("?")
    return (plain, asked) if is_elsewhere(address) and "=" in asked else (address, "")


def keepable(address: str) -> str:
    """An address without who logs in: what a run keeps of it, for whoever reads its output.

    >>> keepable("s3://me:secret@faces/key=1?scheme=http&secret_key=secret")
    's3://faces/key=1?scheme=http&secret_key=***'
    """
    plain, asked = parted(address)
    if not is_elsewhere(plain):
        return address
    head, inside = split(plain)
    how = public(f"{head}?{asked}").partition("?")[2]
    return "/".join(filter(None, [public(head), inside])) + (f"?{how}" if how else "")


def split(address: str) -> tuple[str, str]:
    """The store of an address, and what it calls the file.

    >>> split("s3://faces/in/a b.png")
    ('s3://faces', 'in/a b.png')
    """
    scheme, _, rest = address.partition("://")
    store, _, inside = rest.partition("/")
    return f"{scheme}://{store}", inside


def at(root: str, inside: str) -> str:
    """A file's path, as its file system takes it."""
    return f"{root.rstrip('/')}/{inside}".rstrip("/")


def file_system(head: str, asked: str = "") -> tuple[FileSystem, str]:
    """Of a store, and how paths in it begin; raises InputError, MissingExtra.

    A path is no part of an address to Arrow: that would have to be quoted, and names would not.
    """
    try:
        from pyarrow import fs
        from pyarrow.lib import ArrowInvalid
    except ImportError:
        raise MissingExtra("pyarrow", "bulk", "mien bulk") from None
    if head == "file://":
        return fs.LocalFileSystem(), ""
    if head.startswith(("gs://", "gcs://")) and "retry_limit_seconds" not in asked:
        asked = "&".join(filter(None, [asked, f"retry_limit_seconds={_GIVE_UP_S}"]))
    try:
        found: tuple[FileSystem, str] = fs.FileSystem.from_uri(
            "?".join(filter(None, [head, asked]))
        )
        return found
    except ArrowInvalid:  # no file system of Arrow's own
        return _of_fsspec(head)
    except OSError as err:
        hint = _HDFS if head.startswith(("hdfs://", "viewfs://")) else ""
        raise InputError(f"cannot reach {public(head)}: {told(err)}{hint}") from err


_HDFS = (
    "; hdfs:// goes through Hadoop's own client: JAVA_HOME names a Java, HADOOP_HOME or "
    "ARROW_LIBHDFS_DIR where libhdfs is, and CLASSPATH is what `hadoop classpath --glob` prints"
)


def _of_fsspec(address: str) -> tuple[FileSystem, str]:
    from pyarrow import fs

    try:
        import fsspec
    except ImportError:
        raise MissingExtra("fsspec", "bulk", f"reading {public(address)}") from None
    try:
        made, path = fsspec.url_to_fs(address)
    except (ImportError, ValueError) as err:
        raise InputError(
            f"cannot reach {public(address)}: {err}; mien reads folders, s3://, gs://, hdfs:// "
            "and what fsspec knows"
        ) from err
    return fs.PyFileSystem(fs.FSSpecHandler(made)), path


_DENIED = (
    "ACCESS_DENIED",
    "INVALID_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH",
    "403",
    "Forbidden",
    "OAuth2",
)


def told(err: BaseException) -> str:
    """The reason in one line, without secrets, and what to do where a store lets nobody in."""
    text = getattr(err, "strerror", None) or str(err) or type(err).__name__
    reason = public(str(text).strip().partition("\n")[0].partition(" error_info={")[0])
    if getattr(err, "errno", None) or not any(word in reason for word in _DENIED):
        return reason
    return (
        f"access is denied ({reason}); check the credentials: AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY for s3://, GOOGLE_APPLICATION_CREDENTIALS for gs://, and what they "
        "may do there"
    )


class Store:
    """A folder of results. A file in it is there whole or not at all, whatever is killed."""

    def __init__(self, address: str) -> None:
        self.address = parted(address)[0]
        self.files, self.path = opened(address)
        self.is_local = self.files.type_name == "local"

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}".rstrip("/")

    @contextmanager
    def _reached(self, name: str) -> Iterator[None]:
        """Raises OutputError where a store elsewhere does not answer, or lets nobody in.

        On a disk it is a file that cannot be read, which says nothing of the others.
        """
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as err:
            if self.is_local:
                raise
            raise OutputError(f"cannot use {self._told(name)}: {told(err)}") from err

    def _told(self, name: str) -> str:
        return public(f"{self.address.rstrip('/')}/{name}")

    def exists(self, name: str) -> bool:
        with self._reached(name):
            return bool(self.files.get_file_info(self._at(name)).is_file)

    def names(self, folder: str, ending: str) -> list[str]:
        """The files below a folder, in order, as from here."""
        inside = self._on_disk if self.is_local else self._elsewhere
        with self._reached(folder):
            found = [path for path in inside(self._at(folder)) if path.endswith(ending)]
        root = self.path.rstrip("/") + "/"
        return sorted(path[path.index(root) + len(root) :] for path in found)

    def _on_disk(self, folder: str) -> Iterator[str]:
        """Not by Arrow, to which a name that is no UTF-8 is an error."""

        def refuse(err: OSError) -> None:
            if not isinstance(err, FileNotFoundError):
                raise err

        for root, _, files in os.walk(folder, onerror=refuse):
            yield from (os.path.join(root, name) for name in files)

    def _elsewhere(self, folder: str) -> Iterator[str]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(folder, recursive=True, allow_not_found=True)
        yield from (each.path for each in self.files.get_file_info(selector) if each.is_file)

    def begun(self) -> dict[str, str]:
        """What was begun to be written and is not whole: each with the name it was to have."""
        parts = [(name, _PART.fullmatch(name)) for name in self.names("", ".part")]
        return {name: match[1] for name, match in parts if match}

    def read(self, name: str) -> bytes:
        """A file's content; raises FileNotFoundError, OSError, OutputError."""
        with (
            self._reached(name),
            self.files.open_input_stream(self._at(name), compression=None) as stream,
        ):
            return bytes(stream.read())

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A stream whose content is the file once all of it is there; raises OutputError."""
        try:
            with self._part(name) as (stream, whole):
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                whole()
        except OSError as err:
            raise OutputError(f"cannot write {self._told(name)}: {told(err)}") from err

    @contextmanager
    def _part(self, name: str) -> Iterator[tuple[IO[bytes], Any]]:
        path = self._at(name)
        if self.is_local:
            part = Path(f"{path}.{secrets.token_hex(4)}.part")
            part.parent.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("w+b") as stream:
                    yield stream, lambda: part.replace(path)
            finally:
                part.unlink(missing_ok=True)
            return
        with tempfile.TemporaryFile() as stream:
            yield stream, lambda: self._upload(stream, path)

    def _upload(self, stream: IO[bytes], path: str) -> None:
        stream.seek(0)
        at_once = self.files.type_name in _WHOLE_AT_ONCE
        to = path if at_once else f"{path}.{secrets.token_hex(4)}.part"
        if not at_once:
            self.files.create_dir(path.rpartition("/")[0], recursive=True)
        with self.files.open_output_stream(to, compression=None) as out:
            shutil.copyfileobj(stream, out)
        if not at_once:
            self.files.move(to, path)

    def write(self, name: str, content: bytes) -> None:
        """A small file, whole; raises OutputError."""
        with self.writing(name) as stream:
            stream.write(content)

    def drop(self, name: str) -> None:
        """A file or a folder less; nothing where there is none."""
        try:
            with self._reached(name):
                self._drop(name)
        except FileNotFoundError:
            pass  # another worker was quicker

    def _drop(self, name: str) -> None:
        from pyarrow.fs import FileType

        kind = self.files.get_file_info(self._at(name)).type
        if kind == FileType.Directory:
            self.files.delete_dir(self._at(name))
        elif kind == FileType.File:
            self.files.delete_file(self._at(name))
