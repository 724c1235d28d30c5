"""Transfer learning: a network that begins with a backbone's weights, trained for something else.

All of it can be trained further, or what follows one of its parts (``model.frozen``). Then what
the parts up to that one make of a picture never changes: it is computed once, for the picture and
its mirror image where training flips, and kept in a folder, so that every further seed and split
trains in a fraction of the time. (Where training changes pictures otherwise, all of the network
sees them anew.) A file there is named by what went into it: the weights, how far
they are frozen, the pictures, how they are shown.
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ..data.table import Row, Table
from ..errors import ConfigError, ModelError
from ..face import FloatArray
from ..weights import catalogue
from .checkpoint import write_whole
from .expression_task import ExpressionTask, IntensityTask, score
from .models import Model
from .models.network import Backbone, build
from .recipes import ExpressionRecipe
from .tasks import Samples, has_bfloat16, predict

log = logging.getLogger(__name__)
FOLDER = "features"
_CHUNK, _BATCH = 1024, 16  # pictures in a file; pictures at a time, which stay in the cache


def task(recipe: ExpressionRecipe) -> ExpressionTask:
    """What a recipe of expressions trains: a network, from nothing or not, or the end of one."""
    if recipe.answers == "intensities":
        return IntensityTask(recipe)
    if recipe.keeps_features:
        return TopTask(recipe)
    return PretrainedTask(recipe) if recipe.model.pretrained else ExpressionTask(recipe)


def tensors(name: str) -> dict[str, Tensor]:
    """The arrays of a backbone's file; raises UnknownName, WeightsMissing, ModelError."""
    row = catalogue.spec(name)
    if row.kind != "backbone":
        raise ConfigError(f"{name} is a {row.kind}; model.pretrained names a backbone's weights")
    path, content = catalogue.read(row)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {key: torch.from_numpy(arrays[key]).float() for key in arrays.files}
    except (ValueError, OSError, zipfile.BadZipFile) as err:
        raise ModelError(f"{path} does not hold NumPy arrays: {err}") from err


def pretrained(model: Model, num_classes: int) -> Backbone:
    """The network a recipe names with its backbone's weights; the last layer is new."""
    net = build(model, num_classes)
    assert isinstance(net, Backbone)  # build refuses others
    assert model.pretrained is not None
    net.adopt(tensors(model.pretrained))
    return net


def whole(model: Model, num_classes: int, state: dict[str, Tensor]) -> nn.Module:
    """The network of a run whose own weights are ``state``: all of it, or what is not frozen."""
    if not model.frozen:
        net = build(model, num_classes)
        net.load_state_dict(state)
        return net
    backbone = pretrained(model, num_classes)
    backbone.load_state_dict(backbone.state_dict() | state)
    return backbone


def logits(top: nn.Module, features: Tensor) -> list[FloatArray]:
    """What the trained end of a network answers (N, K) to each view in features (N, V, ...)."""
    return [
        np.asarray(torch.cat(predict(top, view, torch.device("cpu"))).numpy())
        for view in features.unbind(1)
    ]


class PretrainedTask(ExpressionTask):
    """Pictures -> logits, the network trained further but for what is frozen."""

    def network(self) -> nn.Module:
        net = super().network()
        assert isinstance(net, Backbone)
        net.hold(self.recipe.model.frozen)
        return net

    def begin(self, net: nn.Module, train: Samples) -> None:
        assert isinstance(net, Backbone)
        assert self.recipe.model.pretrained
        net.adopt(tensors(self.recipe.model.pretrained))


class TopTask(ExpressionTask):
    """What frozen parts make of pictures, and of their mirror images -> logits over a label set."""

    def network(self) -> nn.Module:
        model = self.recipe.model
        net = build(model, len(self.recipe.data.names))
        assert isinstance(net, Backbone)
        net.enter_behind(model.frozen)
        return net

    def begin(self, net: nn.Module, train: Samples) -> None:
        """The last layer is new, what lies between it and the frozen parts the backbone's."""
        theirs = pretrained(self.recipe.model, len(self.recipe.data.names)).state_dict()
        own = net.state_dict()
        net.load_state_dict(own | {k: theirs[k] for k in own if not k.startswith("head.")})

    def change(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Of each row (N, V, ...) one view, any of them as likely as another: (N, ...)."""
        views = torch.randint(x.shape[1], (len(x),), generator=generator)
        return x[torch.arange(len(x)), views], y

    def score(self, net: nn.Module, select: Samples, device: torch.device) -> dict[str, float]:
        return score(torch.cat(predict(net, select.x[:, 0], device)), select.y)


class Features:
    """What the frozen parts of a recipe's network make of pictures, computed or read back.

    The pictures lie in the folder's files in parts of a thousand, in half precision, and only those
    that are asked for come into memory: maps of 7 x 7 take 80 kB a picture.

    folder : where the files are kept; what is there already is not computed again.
    facts : how many were computed, and how long it took.
    """

    def __init__(
        self, recipe: ExpressionRecipe, table: Table, folder: Path, device: torch.device
    ) -> None:
        labels = recipe.data.names
        rows = table.keep(table.targets(labels) >= 0).rows
        self._place = {row.id: divmod(i, _CHUNK) for i, row in enumerate(rows)}
        self._device, self._folder, self._recipe = device, folder, recipe
        self.facts = {"computed": 0, "seconds": 0.0}
        views = (False, True) if recipe.augment.flip else (False,)
        self._views = [self._all(rows, mirrored) for mirrored in views]

    def of(self, table: Table) -> Tensor:
        """(N, V, ...) float16: the picture, and its mirror image where training flips."""
        places = [self._place[row.id] for row in table.rows]
        found = np.empty((len(places), len(self._views), *self._views[0][0].shape[1:]), np.float16)
        for v, files in enumerate(self._views):
            for i, (file, row) in enumerate(places):
                found[i, v] = files[file][row]
        return torch.from_numpy(found)

    def _all(self, rows: Sequence[Row], mirrored: bool) -> list[FloatArray]:
        """The files of all rows, in their order, as arrays that are read where they are asked."""
        chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
        files = []
        for i, chunk in enumerate(chunks, 1):
            path = self._file(chunk, mirrored, self._recipe.model.frozen)
            if not path.exists():
                log.info("features of %s, %d of %d", self._recipe.model.name, i, len(chunks))
                started = time.perf_counter()
                self._write(path, self._computed(chunk, mirrored))
                self.facts["computed"] += len(chunk)
                self.facts["seconds"] += round(time.perf_counter() - started, 2)
            files.append(np.load(path, mmap_mode="r", allow_pickle=False))
        return files

    def _file(self, rows: Sequence[Row], mirrored: bool, part: str) -> Path:
        """Where what the parts up to one make of some pictures is kept."""
        model = self._recipe.model
        assert model.pretrained
        shown = (part, model.size, model.color, model.enlarge, mirrored, str(self._precision))
        head = repr((catalogue.spec(model.pretrained).sha256, *shown))
        digest = hashlib.blake2b(head.encode(), digest_size=16)
        for row in rows:
            digest.update(hashlib.blake2b(row.image).digest())
        return self._folder / f"{digest.hexdigest()}.npy"

    @functools.cached_property
    def _precision(self) -> torch.dtype:
        """bfloat16 where the device multiplies in it, unless the recipe wants more."""
        fast = self._recipe.train.precision in ("auto", "bf16-mixed")
        return torch.bfloat16 if fast and has_bfloat16(self._device) else torch.float32

    @functools.cached_property
    def _net(self) -> Backbone:
        net = pretrained(self._recipe.model, len(self._recipe.data.names)).eval()
        net.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return net

    @torch.inference_mode()
    def _computed(self, rows: Sequence[Row], mirrored: bool) -> FloatArray:
        begun, part = self._begun(rows, mirrored)
        fast = self._precision == torch.bfloat16
        parts = []
        with torch.autocast(self._device.type, torch.bfloat16, enabled=fast):
            for some in torch.split(begun, _BATCH):
                x = some.to(self._device).float()
                x = x if part else self._net.shown(x)
                made = self._net.between(x, part, self._recipe.model.frozen)
                parts.append(made.half().cpu())
        return np.asarray(torch.cat(parts).numpy())

    def _begun(self, rows: Sequence[Row], mirrored: bool) -> tuple[Tensor, str]:
        """What is kept already of an earlier part, the latest one, and its name; or pictures."""
        for part in reversed(self._net.upto(self._recipe.model.frozen)[:-1]):
            path = self._file(rows, mirrored, part)
            if path.exists():
                return torch.from_numpy(np.load(path, allow_pickle=False)), part
        x = torch.from_numpy(Table("", rows).planes(self._recipe.model.preprocess))
        return (x.flip(3) if mirrored else x), ""

    def _write(self, path: Path, features: FloatArray) -> None:
        content = io.BytesIO()
        np.save(content, features, allow_pickle=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(content.getvalue(), path)
