"""`yiwang train`, `eval classify` and `bench classify`, as a city's staff type them."""

from pathlib import Path

import pytest

from routers.classifier import CATEGORY, Classifier
from streams.cityfile import load_city
from streams.modelfile import TaxonomyError, load, of_city
from tests.command_line import document, yiwang
from tests.letters import letters, written
from tests.tiny_city import build_tiny_city

MAPPED = ("--map", "text=words", "--map", "label=about")


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A city's closed cases."""
    return written(tmp_path / "closed.jsonl", letters(90))


@pytest.fixture
def city(tmp_path: Path) -> Path:
    return build_tiny_city(tmp_path / "shuanghe")


def test_a_model_is_written_with_its_report(closed: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    result = yiwang("train", "--file", closed, *MAPPED, "--map", "group=twin", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    report = document(result)
    assert (report["rows"], report["labels"], report["words"]) == (90, 3, 0)
    assert report["cross_validated"]["accuracy"] > 0.9
    assert report["cross_validated"]["macro_f1"] > 0.9
    found = load(out)
    assert found.model.version == report["version"]
    assert found.report["rows"] == 90
    assert found.model.evidence is not None
    assert len(found.model.evidence.said) == 90, "sure is what was sure on texts left out"


def test_a_citys_model_knows_its_words_and_is_judged_by_what_was_held_out(
    closed: Path, city: Path, tmp_path: Path
) -> None:
    held = written(tmp_path / "held.jsonl", letters(30, seed=3))
    result = yiwang(
        *("train", "--file", closed, *MAPPED, "--map", "kind=kind", "--for-city", "--city", city),
        *("--held-out", held, "--out", city / "model", "--json"),
    )
    assert result.exit_code == 0, result.output
    report = document(result)
    assert report["evidence"] == {"rows": 30, "right": 30, "held_out": True}
    assert report["words"] > 6
    model, missing = of_city(city, load_city(city))
    assert missing is None
    assert model is not None
    head = model.head(CATEGORY)
    assert head is not None
    assert Classifier(model).read(["没水"]).answers(head)[0].labels[0] == "11"


def test_a_model_of_another_city_is_refused_with_the_differences(closed: Path, city: Path) -> None:
    assert yiwang("train", "--file", closed, *MAPPED, "--out", city / "model").exit_code == 0
    with pytest.raises(TaxonomyError, match="11 停水 is not in the model"):
        of_city(city, load_city(city))


def test_labels_that_the_city_does_not_have_are_named(city: Path, tmp_path: Path) -> None:
    few = letters(30)
    strange = written(tmp_path / "strange.jsonl", type(few)(few.texts, ("99",) * 30, few.groups, {}))
    result = yiwang(
        "train", "--file", strange, *MAPPED, "--for-city", "--city", city, "--out", tmp_path / "model", "--json"
    )
    assert result.exit_code == 2
    assert "双河县 has no category 99" in result.stderr
    assert not (tmp_path / "model.npz").exists()


def test_cross_validation_and_a_test_file_are_two_ways_to_judge(closed: Path, tmp_path: Path) -> None:
    crossed = yiwang("eval", "classify", "--file", closed, "--folds", "3", *MAPPED, "--map", "group=twin", "--json")
    assert crossed.exit_code == 0, crossed.output
    found = document(crossed)
    assert found.keys() >= {"macro_f1", "accuracy", "accuracy_top60", "accuracy_top80", "texts_per_s", "per_label"}
    assert found["rows"] == {"train": 60, "test": 90}
    assert found["accuracy_top60"] >= found["accuracy_top80"] >= found["accuracy"] > 0.9
    test = written(tmp_path / "test.jsonl", letters(30, seed=5))
    judged = yiwang("eval", "classify", "--train", closed, "--test", test, *MAPPED, "--json")
    assert document(judged)["rows"] == {"train": 90, "test": 30}
    told = yiwang("eval", "classify", "--train", closed, "--test", test, *MAPPED)
    assert "learned from 90, judged on 30 texts" in told.stdout


@pytest.mark.parametrize("given", [(), ("--train", "a.csv"), ("--train", "a.csv", "--test", "b.csv", "--folds", "3")])
def test_half_a_question_is_status_2(given: tuple[str, ...]) -> None:
    result = yiwang("eval", "classify", *given, *MAPPED)
    assert result.exit_code == 2
    assert "give either --file" in result.stderr


def test_the_bench_reads_beside_scikit_learn(closed: Path) -> None:
    result = yiwang("bench", "classify", "--file", closed, *MAPPED, "--repeats", "2", "--json")
    assert result.exit_code == 0, result.output
    found = document(result)
    assert (found["texts"], found["labels"], found["reads_characters"]) == (90, 3, 400)
    assert found["texts_per_s"] > found["sklearn_texts_per_s"] > 0
    assert len(found["turns"]) == 2
    assert "sklearn_texts_per_s" in yiwang("bench", "classify", "--file", closed, *MAPPED, "--repeats", "1").stdout
