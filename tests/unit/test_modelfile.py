"""A model at rest: whole, or refused with what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from routers.classifier import Classifier, Model
from routers.tiers import Evidence
from streams.modelfile import FORMAT, ModelError, TaxonomyError, check_taxonomy, load, of_city, save
from tests.cities import qinglan
from tests.small_model import small_model

TEXTS = ["路灯不亮", "拖欠工资", "😀", ""]


@pytest.fixture
def model() -> Model:
    evidence = Evidence(("薪", "灯"), np.array([0.9, 0.4], np.float32), np.array([True, False]))
    return small_model({"路灯不亮": "灯", "拖欠工资": "薪"}, evidence=evidence)


def test_a_model_that_is_read_again_says_the_same(tmp_path: Path, model: Model) -> None:
    save(tmp_path / "m", model, {"rows": 2})
    found = load(tmp_path / "m.json")
    assert np.allclose(Classifier(found.model).read(TEXTS).scores, Classifier(model).read(TEXTS).scores)
    assert found.model.heads == model.heads
    assert found.report == {"rows": 2}
    assert found.model.evidence is not None
    assert found.model.evidence.said == ("薪", "灯")
    assert found.model.evidence.right.tolist() == [True, False]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.json", "m.npz"]


def test_no_model_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model .*m\.json"):
        load(tmp_path / "m")


def test_numbers_that_were_changed_are_noticed(tmp_path: Path, model: Model) -> None:
    save(tmp_path / "m", model, {})
    numbers = tmp_path / "m.npz"
    numbers.write_bytes(numbers.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"m\.npz is damaged or belongs to another m\.json"):
        load(tmp_path / "m")


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"format": FORMAT + 1})])
def test_words_that_are_no_model_are_told(tmp_path: Path, model: Model, text: str) -> None:
    save(tmp_path / "m", model, {})
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ModelError, match=r"m\.json"):
        load(tmp_path / "m")


@pytest.mark.parametrize("gone", ["heads", "views", "bits"])
def test_half_a_model_is_no_model(tmp_path: Path, model: Model, gone: str) -> None:
    save(tmp_path / "m", model, {})
    words = tmp_path / "m.json"
    document = json.loads(words.read_text())
    del document[gone]
    words.write_text(json.dumps(document))
    with pytest.raises(ModelError, match="is not whole"):
        load(tmp_path / "m")


def test_weights_for_other_labels_are_noticed(tmp_path: Path, model: Model) -> None:
    save(tmp_path / "m", replace(model, bias=model.bias[:1]), {})
    with pytest.raises(ModelError, match="is not whole"):
        load(tmp_path / "m")


def test_a_citys_folder_without_a_model_is_classified_by_words(tmp_path: Path) -> None:
    model, why = of_city(tmp_path, qinglan())
    assert model is None
    assert why is not None
    assert "there is no model" in why


def test_a_model_of_another_taxonomy_is_refused_with_every_difference(model: Model) -> None:
    names = {category.code: category.zh for category in qinglan().categories.values()}
    gone, renamed = sorted(names)[:2]
    other = {**names, "9999": "月球事务", renamed: "别的名字"}
    del other[gone]
    with pytest.raises(TaxonomyError) as refusal:
        check_taxonomy(replace(model, taxonomy=other), qinglan())
    for word in (f"{gone} {names[gone]} is not in the model", "9999 月球事务 is only in the model", "别的名字"):
        assert word in str(refusal.value)
    check_taxonomy(replace(model, taxonomy=names), qinglan())
