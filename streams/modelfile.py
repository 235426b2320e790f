"""A classifier's model at rest: numbers in `NAME.npz`, everything that can be read in `NAME.json`.

No pickle: a model is data and cannot run anything. The JSON names the sum of the numbers, so that
half a model, or two halves of different ones, is noticed.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from routers.city import City
from routers.classifier import Head, Link, Model
from routers.ngrams import View
from routers.tiers import Evidence
from streams.files import write_whole

FORMAT = 1
MODEL = "model"
"""Name of a city's model in the city's folder."""


class ModelError(Exception):
    """A model that is missing, damaged, or of a form this release does not know."""


class TaxonomyError(Exception):
    """A model that was made for another taxonomy than the city's; the text lists the differences."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model, and what was written down when it was made."""

    model: Model
    report: Mapping[str, Any] = field(default_factory=dict)


def save(stem: Path, model: Model, report: Mapping[str, Any]) -> None:
    """Write a model; what stood there under this name is replaced.

    Args:
        stem: folder and name, without an ending or with one of the two.
        model: to write.
        report: about its making: rows, labels, figures.
    """
    numbers, words = _paths(stem)
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {
        f"buckets{at}": np.flatnonzero(rows).astype(np.int32) for at, rows in enumerate(model.rows)
    }
    if model.evidence is not None:
        codes = sorted(set(model.evidence.said))
        arrays |= {
            "evidence_said": np.array([codes.index(each) for each in model.evidence.said], np.int32),
            "evidence_confidence": model.evidence.confidence,
            "evidence_right": model.evidence.right,
        }
    np.savez_compressed(
        buffer,
        rarity=model.rarity,
        weights=model.weights,
        scale=model.scale,
        bias=model.bias,
        allow_pickle=False,
        **arrays,
    )
    data = buffer.getvalue()
    document = {
        "format": FORMAT,
        "version": model.version,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bits": model.bits,
        "views": [{"reach": view.reach, "sizes": list(view.sizes)} for view in model.views],
        "heads": [
            {"name": head.name, "start": head.start, "link": head.link._asdict(), "labels": list(head.labels)}
            for head in model.heads
        ],
        "taxonomy": dict(model.taxonomy),
        "evidence": sorted(set(model.evidence.said)) if model.evidence is not None else None,
        "report": dict(report),
    }
    write_whole(numbers, data)
    write_whole(words, (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode())


def load(stem: Path) -> ModelFile:
    """Read a model.

    Raises:
        ModelError: it is missing or damaged; the text says which file.
    """
    numbers, words = _paths(stem)
    try:
        document, data = json.loads(words.read_text(encoding="utf-8")), numbers.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"there is no model {error.filename}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"the model {words} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelError(f"{words} is no model of format {FORMAT}; make it again with: yiwang train")
    if hashlib.sha256(data).hexdigest() != document.get("sha256"):
        raise ModelError(f"{numbers} is damaged or belongs to another {words.name}; bring both back, or train again")
    try:
        return ModelFile(_model(document, data), document.get("report", {}))
    except (KeyError, TypeError, ValueError, AssertionError, zipfile.BadZipFile) as error:
        raise ModelError(f"the model {words} is not whole ({error!r}); bring it back, or train again") from error


def of_city(folder: Path, city: City) -> tuple[Model | None, str | None]:
    """Return the model in a city's folder, or why there is none: then the lexicon classifies.

    Raises:
        TaxonomyError: the model is whole, but was made for another taxonomy.
    """
    try:
        model = load(folder / MODEL).model
    except ModelError as error:
        return None, str(error)
    check_taxonomy(model, city)
    return model, None


def check_taxonomy(model: Model, city: City) -> None:
    """Hold a model against the categories of a city.

    Raises:
        TaxonomyError: it was made for others; every difference is named.
    """
    ours = {category.code: category.zh for category in city.categories.values()}
    theirs = dict(model.taxonomy)
    differences = [
        *(f"{code} {ours[code]} is not in the model" for code in sorted(ours.keys() - theirs.keys())),
        *(f"{code} {theirs[code]} is only in the model" for code in sorted(theirs.keys() - ours.keys())),
        *(
            f"{code} is {ours[code]} here and {theirs[code]} in the model"
            for code in sorted(ours.keys() & theirs.keys())
            if ours[code] != theirs[code]
        ),
    ]
    if differences:
        raise TaxonomyError(
            f"the model {model.version} was made for another taxonomy than {city.zh}'s; train it again with "
            f"`yiwang train`, or take it away to go on with the lexicon. Differences: {'; '.join(differences)}"
        )


def _paths(stem: Path) -> tuple[Path, Path]:
    bare = stem.with_suffix("") if stem.suffix in {".npz", ".json"} else stem
    return bare.with_name(f"{bare.name}.npz"), bare.with_name(f"{bare.name}.json")


def _evidence(codes: Sequence[str], arrays: Mapping[str, Any]) -> Evidence:
    said = tuple(codes[at] for at in arrays["evidence_said"])
    return Evidence(said, arrays["evidence_confidence"], arrays["evidence_right"])


def _model(document: Mapping[str, Any], data: bytes) -> Model:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        views = tuple(View(int(each["reach"]), tuple(map(int, each["sizes"]))) for each in document["views"])
        rows, used = [], 1
        for at in range(len(views)):
            buckets = arrays[f"buckets{at}"]
            table = np.zeros(1 << int(document["bits"]), np.int32)
            table[buckets] = np.arange(used, used + len(buckets))
            rows.append(table)
            used += len(buckets)
        weights = arrays["weights"]
        model = Model(
            version=str(document["version"]),
            views=views,
            heads=tuple(
                Head(str(each["name"]), tuple(each["labels"]), int(each["start"]), Link(**each["link"]))
                for each in document["heads"]
            ),
            rows=tuple(rows),
            rarity=arrays["rarity"],
            weights=weights,
            scale=arrays["scale"],
            bias=arrays["bias"],
            taxonomy=document["taxonomy"],
            evidence=_evidence(document["evidence"], arrays) if document["evidence"] else None,
        )
    columns = sum(len(head.labels) for head in model.heads)
    if weights.shape != (used, columns) or model.rarity.shape != (used,) or model.bias.shape != (columns,):
        raise ValueError(f"{weights.shape} weights for {used} n-grams and {columns} labels")
    return model
