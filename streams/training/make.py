"""From files of labelled texts to a model file with its report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from routers.city import City
from routers.classifier import CATEGORY, KIND, URGENCY, Classifier, Model
from routers.demand import DemandKind
from routers.tiers import Evidence, evidence_of
from streams.cityfile import load_city
from streams.modelfile import save
from streams.training.fit import Recipe, TooFewError, fit
from streams.training.measure import Predicted, cross_validate, figures
from streams.training.table import Labelled, read_labelled

RECIPE = Recipe(least=2)

ALSO = "also"
"""Field of a second label that could be defended as well."""

_FIELDS = (KIND, URGENCY, ALSO)


def make(
    files: Sequence[Path],
    pairs: Sequence[str],
    out: Path,
    *,
    city_folder: Path | None,
    parts: int,
    held_out: Path | None = None,
    done: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Train, cross-validate and write a model.

    Args:
        files: of labelled texts.
        pairs: of `--map`: text and label; group, kind and urgency where there are such columns.
        out: the model's stem.
        city_folder: of the city whose categories the labels are; None: any labels.
        parts: of the cross-validation.
        held_out: labelled texts that are not learned: how sure the machine must be follows from them. None: it follows
            from the cross-validation, which is right where the texts to learn are of the kind that will be read.
        done: called after each step: `parts` + 1 times.

    Returns:
        rows, labels, words, cross_validated, evidence, version.

    Raises:
        TooFewError: there is too little to learn from, or a label is no category of the city.
        FileError: a file cannot be read.
    """
    data = _together([_labelled(file, pairs, (KIND, URGENCY)) for file in files])
    held = _labelled(held_out, pairs, (ALSO,)) if held_out is not None else None
    city = load_city(city_folder) if city_folder is not None else None
    if city is not None:
        unknown = sorted(set(data.labels) - city.categories.keys())
        if unknown:
            raise TooFewError(f"{city.zh} has no category {', '.join(unknown[:10])}")
    predicted = cross_validate(data, parts, RECIPE, done)
    found = figures(predicted)
    words = list(_words(city)) if city is not None else []
    heads = {CATEGORY: [*data.labels, *(code for _word, code in words)]}
    if city is not None:
        heads |= _other_heads(data, city, len(words))
    model = fit(
        [*data.texts, *(word for word, _code in words)],
        heads,
        groups=[*data.groups, *(f"word {at}" for at in range(len(words)))],
        spoken=[*[True] * len(data.texts), *[False] * len(words)],
        taxonomy={each.code: each.zh for each in city.categories.values()} if city is not None else None,
        recipe=RECIPE,
    )
    evidence = _evidence(predicted, city) if held is None else _evidence_of(held, model, city)
    report = {
        "rows": len(data.texts),
        "labels": len(set(data.labels)),
        "words": len(words),
        "cross_validated": {name: found[name] for name in ("macro_f1", "accuracy", "top3", "reliability")},
        "evidence": {"rows": len(evidence.said), "right": int(evidence.right.sum()), "held_out": held is not None},
        "version": model.version,
    }
    save(out, replace(model, evidence=evidence), report)
    done()
    return report


def _labelled(file: Path, pairs: Sequence[str], more: Sequence[str]) -> Labelled:
    """Read a file with the fields that it may have of all that are paired; what others have is not asked of it."""
    known = ("text", "label", "group", *more)
    return read_labelled(file, [pair for pair in pairs if pair.partition("=")[0] not in {*_FIELDS} - {*known}], more)


def _evidence(predicted: Predicted, city: City | None) -> Evidence:
    return evidence_of(
        (said[0], sure, _same(said[0], gold, city))
        for said, sure, gold in zip(predicted.said, predicted.confidences, predicted.gold, strict=True)
    )


def _evidence_of(held: Labelled, model: Model, city: City | None) -> Evidence:
    """Return how right a model is on texts it has not learned; a second label of a text is right as well."""
    head = model.head(CATEGORY)
    assert head is not None
    answers = Classifier(model).read(held.texts).answers(head)
    also = held.more.get(ALSO, ("",) * len(answers))
    return evidence_of(
        (answer.labels[0], answer.confidence, any(_same(answer.labels[0], each, city) for each in labels))
        for answer, labels in zip(answers, zip(held.labels, also, strict=True), strict=True)
    )


def _same(said: str, gold: str, city: City | None) -> bool:
    """Tell whether an answer leads to the unit of the right one; without a city, whether it is the right one."""
    if city is None or said not in city.categories or gold not in city.categories:
        return said == gold
    return city.category(said).lead == city.category(gold).lead


def _words(city: City) -> Iterable[tuple[str, str]]:
    """Yield the lexicon as texts: each word of a category, its name, and all its words in one."""
    for category in city.categories.values():
        yield category.zh, category.code
        yield "，".join(category.keywords), category.code
        for word in category.keywords:
            yield word, category.code


def _other_heads(data: Labelled, city: City, words: int) -> dict[str, list[str]]:
    """Return the labels of the further questions a city's model answers; the lexicon's words answer none of them."""
    heads: dict[str, list[str]] = {}
    if KIND in data.more:
        known = {str(kind) for kind in DemandKind}
        heads[KIND] = [*(kind if kind in known else "" for kind in data.more[KIND]), *[""] * words]
    if URGENCY in data.more:
        usual = [str(city.category(label).urgency) for label in data.labels]
        heads[URGENCY] = [
            *(given or normal for given, normal in zip(data.more[URGENCY], usual, strict=True)),
            *[""] * words,
        ]
    return heads


def _together(parts: Sequence[Labelled]) -> Labelled:
    names = set.intersection(*(set(part.more) for part in parts))
    return Labelled(
        tuple(text for part in parts for text in part.texts),
        tuple(label for part in parts for label in part.labels),
        tuple(f"{at} {group}" for at, part in enumerate(parts) for group in part.groups),
        {name: tuple(value for part in parts for value in part.more[name]) for name in names},
    )
