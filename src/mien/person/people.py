"""People who have a recogniser of their own: what is kept of each, and how it goes away.

All of it lies in one folder per person under ``home()/people`` and nowhere else::

    <name>-<hash>/person.json     name, consents with their dates, stimuli seen
                  samples/*.png   what was around the face, and beside it *.json: label, stimulus
                  sheet.png       the samples of the last session
                  head.onnx, mouth.onnx   what was trained; test.json, how good it is

Each sample is a pair of files of its own, written whole, so that nothing recorded is lost when a
camera, a battery or a program gives up.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import unicodedata
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import foreign
from ..errors import ConfigError, DataError, ImageError, OutputError, UnknownName
from ..face import Face, FloatArray, Frame, ImageArray
from ..faces.landmarks import POINTS
from ..files import alone, held, replacing
from ..jsontext import parse
from ..labels import check_word, word
from ..provenance import now
from ..weights import catalogue

SCHEMA = "mien-person/1"
PERSON, SAMPLES, SHEET, TEST = "person.json", "samples", "sheet.png", "test.json"
_LONGEST = 100  # characters of a name
_LONGEST_WORD = 40
_GONE = ".deleted-"
_BEGUN = ".begun"
_COMING = ".coming-"
_INSIDE = re.compile(
    r"person\.json|sheet\.png|test\.json|[a-z]+\.onnx|samples/[0-9a-f]+\.(json|png)"
)
_MOST_BYTES = 4 << 30  # of an export, unpacked


@dataclass(frozen=True, slots=True)
class Consent:
    """Who agreed to what, in their own words, and when (ISO 8601, UTC)."""

    text: str
    date: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A face of the person, and what it shows.

    label : mien's own name, or a word of the person's own.
    stimulus : what was shown meanwhile, or the file it is from; samples of one are kept together
        when a recogniser is tested.
    time_s : when in the stimulus or file, in seconds.
    box, landmarks : of the face in the sample's picture; landmarks flat, None where nobody placed
        them. framing : how many times the box a crop is, as its detector says.
    """

    id: str
    label: str
    stimulus: str
    time_s: float
    date: str
    box: tuple[float, ...]
    landmarks: tuple[float, ...] | None
    framing: float
    picture_quality: float

    @property
    def face(self) -> Face:
        points = None
        if self.landmarks is not None:
            points = np.array(self.landmarks, np.float32).reshape(-1, 2)
        return Face(np.array(self.box, np.float32), 1.0, points)


@dataclass(slots=True)
class Person:
    """One person's folder. Changes are on disk when a method returns.

    seen : SHA-256 of every stimulus that was ever shown to them.
    """

    name: str
    folder: Path
    consents: list[Consent] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def agree(self, text: str) -> Consent:
        """Note a consent, with today's date; raises ConfigError for an empty one."""
        if not text.strip():
            raise ConfigError("a consent says who agrees: --consent 'Ann Smith, for herself'")
        given = Consent(" ".join(text.split()), now())
        with self._changed():
            self.consents.append(given)
        return given

    def saw(self, stimulus: str) -> None:
        """Note that a stimulus, by its SHA-256, was shown."""
        with self._changed():
            self.seen.add(stimulus)

    def take_back(self, consent: Consent | None, seen: set[str]) -> None:
        """Forget a consent, and what was shown beside ``seen``."""
        with self._changed():
            if consent in self.consents:
                self.consents.remove(consent)
            self.seen &= seen

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else changes what is kept meanwhile: a service has several requests at once.

        Raises OutputError where the person was deleted.
        """
        self.check()
        with alone(self.folder):
            yield

    @contextlib.contextmanager
    def _changed(self) -> Iterator[None]:
        """Consents and what was seen, as they are now; they are on the disk in the end."""
        with self.alone():
            if (path := self.folder / PERSON).is_file():
                kept = _read(path)
                self.consents, self.seen = kept.consents, kept.seen
            yield
            self._save()

    def _save(self) -> None:
        told = {
            "schema": SCHEMA,
            "name": self.name,
            "consents": [asdict(consent) for consent in self.consents],
            "seen": sorted(self.seen),
        }
        text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
        self.write(PERSON, text.encode())

    def check(self) -> None:
        """Raise OutputError where the person was deleted meanwhile."""
        if not self.folder.is_dir():
            raise OutputError(f"{self.name} was deleted meanwhile; nothing is kept")

    def write(self, name: str, content: bytes) -> Path:
        """A whole file of the folder's; raises OutputError, also where the person was deleted."""
        path = self.folder / name
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError as err:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            self.check()
            raise OutputError(f"cannot write {path}: {err.strerror or err}") from err
        return path

    def add(self, sample: Sample, picture: ImageArray) -> None:
        """Keep a sample: its picture first, so that one that is listed is whole."""
        from ..data.table import png

        self.write(f"{SAMPLES}/{sample.id}.png", png(picture))
        self._describe(sample)

    def begin(self, stimulus: str) -> None:
        """Note that a recording's samples are being taken, in case that is cut off."""
        self.write(f"{SAMPLES}/{_BEGUN}", stimulus.encode(errors="surrogatepass"))

    def begun(self) -> str:
        """The recording in which taking samples was cut off; "" where it was not."""
        try:
            content = (self.folder / SAMPLES / _BEGUN).read_bytes()
        except OSError:
            return ""
        return content.decode(errors="replace")

    def finish(self) -> None:
        """All samples of what was begun are there."""
        (self.folder / SAMPLES / _BEGUN).unlink(missing_ok=True)

    def _describe(self, sample: Sample) -> None:
        text = json.dumps(asdict(sample), ensure_ascii=False) + "\n"
        self.write(f"{SAMPLES}/{sample.id}.json", text.encode())

    def relabel(self, sample: Sample, label: str) -> Sample:
        changed = replace(sample, label=word_of(label))
        self._describe(changed)
        return changed

    def drop(self, sample: Sample) -> None:
        for suffix in (".json", ".png"):
            (self.folder / SAMPLES / f"{sample.id}{suffix}").unlink(missing_ok=True)

    def files(self) -> set[str]:
        """The names of its samples' files."""
        return {path.name for path in (self.folder / SAMPLES).glob("[!.]*.json")}

    def samples(self) -> list[Sample]:
        """All there are, oldest first; raises DataError for one that cannot be read."""
        found = []
        for path in (self.folder / SAMPLES).glob("[!.]*.json"):
            try:
                found.append(_sample(foreign.table(parse(foreign.content(path)), "it")))
            except (OSError, ValueError, TypeError, KeyError) as err:
                raise DataError(f"{path} is damaged ({err}); delete it and its picture") from err
        return sorted(found, key=lambda sample: (sample.date, sample.id))

    def picture(self, sample: Sample) -> Frame:
        from ..media.image import read_file

        path = self.folder / SAMPLES / f"{sample.id}.png"
        try:
            return Frame(read_file(path), time_s=sample.time_s, source=str(path))
        except ImageError as err:
            raise DataError(f"{err}; delete it, and {sample.id}.json beside it") from err

    def counts(self) -> Counter[str]:
        """Samples per label, in the order of ``labels_of``."""
        samples = self.samples()
        counted = Counter(sample.label for sample in samples)
        return Counter({label: counted[label] for label in labels_of(samples)})


def new_sample(
    label: str,
    stimulus: str,
    frame: Frame,
    face: Face,
    framing: float,
) -> Sample:
    """A sample of a face in the picture that is kept of it."""
    points: FloatArray | None = face.landmarks
    return Sample(
        id=uuid.uuid4().hex[:16],
        label=word_of(label),
        stimulus=stimulus,
        time_s=round(frame.time_s, 3),
        date=now(),
        box=tuple(round(float(v), 2) for v in face.box),
        landmarks=None if points is None else tuple(round(float(v), 2) for v in points.ravel()),
        framing=framing,
        picture_quality=round(
            face.score if face.picture_quality is None else face.picture_quality, 4
        ),
    )


def word_of(label: str) -> str:
    """A label as it is kept: mien's own name for it, or the word; raises ConfigError."""
    told = word(label)
    if not told or len(told) > _LONGEST_WORD or not told.isprintable():
        raise ConfigError(
            f"a label is a word or two, up to {_LONGEST_WORD} characters, got {label!r}"
        )
    check_word(told)
    return told


def people_folder() -> Path:
    return catalogue.home() / "people"


def everyone(damaged: list[DataError] | None = None) -> list[Person]:
    """All people there are, by name.

    damaged : is told why some cannot be read; without it the first of them is raised.
    """
    found = []
    for path in sorted(people_folder().glob(f"[!.]*/{PERSON}")):
        try:
            found.append(_read(path))
        except DataError as err:
            if damaged is None:
                raise
            damaged.append(err)
    return sorted(found, key=lambda person: person.name.casefold())


def get(name: str) -> Person:
    """The person of that name; raises UnknownName with the nearest, ConfigError for no name."""
    path = _folder(_checked(name)) / PERSON
    if not path.is_file():
        names = [person.name for person in everyone([])]
        if not names:
            raise ConfigError(f"nobody is known yet; begin with: mien person record {name!r}")
        raise UnknownName("person", name, names)
    return _read(path)


def get_to_delete(name: str) -> Person:
    """As ``get``, but somebody whose file is damaged, or a newer mien's, may be deleted, too."""
    try:
        return get(name)
    except DataError:
        return Person(_checked(name), _folder(_checked(name)))


def get_or_make(name: str, consent: str | None) -> Person:
    """The person of that name, made where there is none; raises ConfigError without a consent.

    consent : noted with today's date; may be None where one was noted before.
    """
    return _got_or_made(name, consent)[0]


def _got_or_made(name: str, consent: str | None) -> tuple[Person, Consent | None]:
    """As ``get_or_make``, with the consent as it was noted."""
    person = _agreed(name, consent)
    try:
        (person.folder / SAMPLES).mkdir(parents=True, exist_ok=True)
        person.folder.chmod(0o700)
    except OSError as err:
        raise OutputError(f"cannot make {person.folder}: {err.strerror or err}") from err
    return person, None if consent is None else person.agree(consent)


def _agreed(name: str, consent: str | None) -> Person:
    """The person of that name as they are kept, or would be; raises ConfigError as above."""
    name = _checked(name)
    folder = _folder(name)
    known = (folder / PERSON).is_file()
    person = _read(folder / PERSON) if known else Person(name, folder)
    if consent is None and not person.consents:
        raise ConfigError(
            f"nothing is recorded of {name} without a consent; say who agrees, and for whom: "
            "--consent 'Ann Smith, for herself'"
        )
    if consent is not None and not consent.strip():
        raise ConfigError("a consent says who agrees: --consent 'Ann Smith, for herself'")
    return person


@contextlib.contextmanager
def recorded_once(name: str, consent: str | None) -> Iterator[None]:
    """No other mien records this person meanwhile; raises OutputError where one does.

    Two at once would take the same files twice, and show the same stimuli. Raises ConfigError as
    ``get_or_make``, before anything is made.
    """
    person = _agreed(name, consent)
    samples = person.folder / SAMPLES  # the person's own folder is held for moments: files.alone
    with held(samples, f"a recording of {person.name}"):
        try:
            yield
        finally:
            if not (person.folder / PERSON).exists():
                with contextlib.suppress(OSError):
                    samples.rmdir()  # of somebody of whom nothing is kept
                    person.folder.rmdir()


@contextlib.contextmanager
def recorded(name: str, consent: str | None) -> Iterator[Person]:
    """The person to record, as of ``get_or_make``; as before, where it fails without a sample.

    A mistyped folder or a camera that is not there must leave no person behind, and no consent to
    what never was.
    """
    was_known = (_folder(_checked(name)) / PERSON).is_file()
    person, given = _got_or_made(name, consent)
    had, seen = person.files(), set(person.seen)
    try:
        yield person
    except BaseException:
        if person.folder.is_dir() and person.files() <= had:
            if not was_known:
                delete(person)
            elif given or person.seen != seen:
                person.take_back(given, seen)
        raise


def delete(person: Person) -> None:
    """Take a person's folder away, all of it; raises OutputError where something stays.

    It goes out of sight in one step, so that nobody finds half a person; whoever records them at
    that moment is told that they were deleted.
    """
    gone = person.folder.with_name(_GONE + uuid.uuid4().hex)
    try:
        person.folder.rename(gone)
        shutil.rmtree(gone)
    except OSError as err:
        left = gone if gone.exists() else person.folder
        raise OutputError(
            f"cannot delete all of {person.name}: {err.strerror or err}; close what uses it, then "
            f"delete {left}"
        ) from err


def export(person: Person, out: Path) -> Path:
    """All that is kept of a person as one ZIP file; raises OutputError."""
    import zipfile

    if out.exists():
        raise OutputError(f"{out} is there already; name another file")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with (
            replacing(out) as stream,
            zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for path in sorted(person.folder.rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    archive.write(path, path.relative_to(person.folder))
    except OSError as err:
        raise OutputError(f"cannot write {out}: {err.strerror or err}") from err
    return out


def bring(archive: Path) -> Person:
    """The person whom ``export``, or the page, wrote into a ZIP file.

    Raises DataError for another file, OutputError where somebody of that name is here.
    """
    import zipfile
    import zlib

    coming = people_folder() / f"{_COMING}{uuid.uuid4().hex}"
    try:
        (coming / SAMPLES).mkdir(parents=True)
        coming.chmod(0o700)
        _unpack(archive, coming)
        person = _whole(coming, archive)
        person.folder = _folder(_checked(person.name))
        if person.folder.exists():
            raise OutputError(
                f"{person.name} is here already; delete them first, or keep what is here: "
                f"mien person delete '{person.name}'"
            )
        coming.rename(person.folder)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as err:
        raise DataError(f"{archive} is damaged: {err}; export them again") from err
    except OSError as err:
        raise DataError(f"cannot bring in {archive}: {err.strerror or err}") from err
    finally:
        shutil.rmtree(coming, ignore_errors=True)
    return person


def _whole(folder: Path, archive: Path) -> Person:
    """A person of an archive's, whose samples can all be read; raises DataError."""
    try:
        person = _read(folder / PERSON, "export them again")
        person.samples()
    except DataError as err:
        told = str(err).replace(f"{folder}{os.sep}", "")
        raise DataError(f"{archive}: {told}") from err
    return person


def _unpack(archive: Path, folder: Path) -> None:
    """The files of an export, and no others; raises DataError."""
    import zipfile

    with zipfile.ZipFile(archive) as file:
        inside = file.infolist()
        names = [info.filename for info in inside]
        strange = [name for name in names if not _INSIDE.fullmatch(name)]
        if strange or PERSON not in names:
            why = f"it holds {strange[0]!r}" if strange else f"it holds no {PERSON}"
            raise DataError(f"{archive} is no export of a person: {why}")
        if sum(info.file_size for info in inside) > _MOST_BYTES:
            raise DataError(
                f"{archive} holds more than {_MOST_BYTES >> 30} GB, which no person has"
            )
        for info in inside:
            (folder / info.filename).write_bytes(file.read(info))


def samples_in_words(count: int) -> str:
    """
    >>> samples_in_words(1), samples_in_words(2)
    ('1 sample', '2 samples')
    """
    return "1 sample" if count == 1 else f"{count} samples"


def labels_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Their labels, each once: mien's own first, in its order."""
    from ..labels import CANONICAL

    found = {sample.label for sample in samples}
    return tuple(n for n in CANONICAL if n in found) + tuple(sorted(found - {*CANONICAL}))


def _checked(name: str) -> str:
    told = unicodedata.normalize("NFC", " ".join(name.split()))
    if not told or len(told) > _LONGEST or not any(c.isprintable() for c in told):
        raise ConfigError(f"a name has 1 to {_LONGEST} characters, got {name!r}")
    return told


def _folder(name: str) -> Path:
    """Any name's own folder: what a file system may not take is left to the hash."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:12]
    return people_folder() / "-".join(filter(None, [plain[:40], digest]))


def _sample(values: dict[str, Any]) -> Sample:
    """Raises KeyError, TypeError or ValueError for values that are none."""
    for name in ("id", "label", "stimulus", "date"):
        foreign.word(values[name], name)
    if "confidence" in values:  # an older mien's name for it
        values["picture_quality"] = values.pop("confidence")
    for name in ("time_s", "framing", "picture_quality"):
        foreign.number(values[name], name)
    values["box"] = _numbers(values["box"], "box", 4)
    if values["landmarks"] is not None:
        values["landmarks"] = _numbers(values["landmarks"], "landmarks", 2 * POINTS)
    return Sample(**values)


def _numbers(values: object, what: str, length: int) -> tuple[float, ...]:
    return tuple(foreign.number(v, what) for v in foreign.listed(values, what, length))


_REMEDY = "delete them, and bring them in from an export (mien person import) or record them anew"


def _read(path: Path, remedy: str = _REMEDY) -> Person:
    try:
        told = foreign.table(parse(foreign.content(path)), "it")
        if told["schema"] != SCHEMA:
            another = foreign.shown(told["schema"])
            raise DataError(
                f"{path} was written by another mien: its schema is {another}, this mien reads "
                f"{SCHEMA}; use the one that wrote it"
            )
        consents = [
            Consent(foreign.word(given["text"], "a consent"), foreign.word(given["date"], "a date"))
            for given in foreign.listed(told["consents"], "consents")
        ]
        seen = {foreign.word(v, "what was seen") for v in foreign.listed(told["seen"], "seen")}
        return Person(foreign.word(told["name"], "name"), path.parent, consents, seen)
    except (OSError, ValueError, TypeError, KeyError) as err:
        raise DataError(f"{path} is damaged: {err}; {remedy}") from err
