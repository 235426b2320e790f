"""What the documents say is so: tables, figures, links, paths, commands, snippets and recipes."""

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from routers.demand import DemandKind
from routers.life import CaseState, Role
from sinks.audit import COUNTED
from sinks.metric_list import METRICS
from streams import topics
from streams.cityfile import CityError, load_city
from streams.cli import app
from streams.settings import QINGLAN, Settings
from tests.doc_tables import PARTS, ROOT, documents, parts_of

DOCUMENTS = {str(document.relative_to(ROOT)): document.read_text(encoding="utf-8") for document in documents()}
OURS = sorted(DOCUMENTS)
CLOSE = 0.02
"""How far a figure may be off, as a share of the seeded day's demands, before its page is written anew."""


def fenced(text: str, *languages: str) -> Iterator[str]:
    """Yield the blocks of code in these languages."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language in languages:
            yield block


# ---- tables and figures -----------------------------------------------------------------------------


def test_every_made_part_is_in_a_document() -> None:
    assert {name for path in documents() for name in parts_of(path)} == PARTS.keys()


@pytest.mark.parametrize("name", sorted(PARTS.keys() - {"quality"}))
def test_a_table_says_what_the_code_says(name: str) -> None:
    found = [made[name] for path in documents() if name in (made := parts_of(path))]
    assert found == [PARTS[name]()], "python -m tests.doc_tables writes it anew"


def test_the_figures_of_triage_are_those_of_today() -> None:
    said = parts_of(ROOT / "docs" / "quality.md")["quality"]
    today = PARTS["quality"]()
    figures = [[int(number) for number in re.findall(r"\d+", text)] for text in (said, today)]
    assert re.sub(r"\d+", "#", said) == re.sub(r"\d+", "#", today), "python -m tests.doc_tables writes it anew"
    assert figures[0] == pytest.approx(figures[1], abs=CLOSE * figures[1][0]), "python -m tests.doc_tables does"


def test_the_glossary_knows_every_word_of_the_wire() -> None:
    codes = set(re.findall(r"`([^`]+)`", DOCUMENTS["docs/glossary.md"]))
    assert {*map(str, CaseState), *map(str, Role), *map(str, DemandKind), *COUNTED} <= codes


def test_every_alert_has_its_runbook() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    assert re.findall(r"^## (Yiwang\w+)$", DOCUMENTS["docs/runbooks.md"], re.MULTILINE) == alerts


@pytest.mark.parametrize("name", OURS)
def test_metrics_and_settings_that_are_named_exist(name: str) -> None:
    known = {each.name.removesuffix(end) + end for each in METRICS for end in ("", "_bucket", "_sum", "_count")}
    variables = {f"YIWANG_{field.upper()}" for field in Settings.model_fields} | {"YIWANG_TEST_KAFKA", "YIWANG_DEBUG"}
    text = DOCUMENTS[name]
    assert set(re.findall(r"\byiwang_[a-z]+(?:_[a-z]+)*\b", text)) <= known
    assert set(re.findall(r"\bYIWANG_[A-Z_]+\b", text)) <= variables


# ---- links and paths --------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("name", OURS)
def test_links_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", DOCUMENTS[name]):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("name", OURS)
def test_files_that_are_named_exist(name: str) -> None:
    for path in re.findall(r"`((?:routers|sinks|streams|tests|deploy|docs)/[^`\s<>*]*)`", DOCUMENTS[name]):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", OURS)
def test_modules_that_are_named_have_what_is_named(name: str) -> None:
    for path in re.findall(r"`((?:routers|sinks|streams)(?:\.\w+)+)`", DOCUMENTS[name]):
        module, _, thing = path.rpartition(".")
        found = import_module(module)
        assert hasattr(found, thing) or import_module(path), path


# ---- commands ---------------------------------------------------------------------------------------


def commands(text: str) -> Iterator[list[str]]:
    """Yield what is said to be typed: in blocks of shell, and in the text between backticks."""
    lines = [line for block in fenced(text, "sh", "console", "") for line in block.splitlines()]
    for line in [*lines, *re.findall(r"`([^`\n]+)`", text)]:
        typed = re.match(r"(?:\$ )?(?:\.venv/bin/)?(yiwang .*)", line)
        words = shlex.split(typed[1], comments=True) if typed else []
        if words:
            yield words[1:]


@pytest.mark.parametrize("name", OURS)
def test_commands_that_are_shown_exist(name: str) -> None:
    yiwang = get_command(app)
    for words in commands(DOCUMENTS[name]):
        found: Any = yiwang
        context = found.make_context("yiwang", [], resilient_parsing=True)
        arguments = 0
        for word in words:
            if word.startswith("--"):
                options = {option for each in found.params for option in (*each.opts, *each.secondary_opts)}
                assert word in options | {"--help"}, f"yiwang {' '.join(words)}: {word}"
            elif hasattr(found, "get_command"):
                if arguments < sum(each.param_type_name == "argument" for each in found.params):
                    arguments += 1
                    continue
                child = found.get_command(context, word)
                assert child is not None, f"yiwang {' '.join(words)}: {word}"
                found, arguments = child, 0


@pytest.mark.parametrize("name", OURS)
def test_make_has_what_is_said_of_it(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`(?:\$ )?make ([a-z-]+)`", DOCUMENTS[name])) <= targets


# ---- snippets and recipes ---------------------------------------------------------------------------

SNIPPETS = list(fenced(DOCUMENTS["README.md"], "python"))


def test_a_channel_and_a_department_connect_in_ten_lines() -> None:
    assert len(SNIPPETS) == 2
    assert all(len([line for line in each.splitlines() if line.strip()]) <= 10 for each in SNIPPETS)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["channel", "department"])
def test_a_snippet_uses_only_what_there_is(snippet: str) -> None:
    tree = ast.parse(snippet)
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {each.name: getattr(import_module(node.module or ""), each.name) for each in node.names}
        if isinstance(node, ast.withitem):
            assert isinstance(node.context_expr, ast.Call)
            assert isinstance(node.context_expr.func, ast.Name)
            assert isinstance(node.optional_vars, ast.Name)
            names[node.optional_vars.id] = names[node.context_expr.func.id]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            assert hasattr(names[node.value.id], node.attr), f"{node.value.id}.{node.attr}"


KIOSK = "  kiosk: {zh: 政务大厅自助机, kind: app}\n"
BICYCLES = """\
      - code: "2099"
        zh: 共享单车
        en: "Shared bicycles"
        kw: [共享单车乱停, 单车堆积]
        lead: D-URBAN
        co: []
        urgency: low
        tier: N7D
        location: required
"""
RULE = '  - {id: R2099, category: "2099", unit: D-URBAN, effective: 2025-01-01}\n'


def insert(file: Path, before: str, text: str) -> None:
    whole = file.read_text(encoding="utf-8")
    assert before in whole
    file.write_text(whole.replace(before, text + before, 1), encoding="utf-8")


def test_a_channel_is_one_file_of_the_city_and_a_category_two(tmp_path: Path) -> None:
    city = Path(shutil.copytree(QINGLAN, tmp_path / "city"))
    insert(city / "city.yaml", "  sensor:", KIOSK)
    insert(city / "taxonomy.yaml", '      - code: "2010"', BICYCLES)
    with pytest.raises(CityError, match="2099"):
        load_city(city)
    insert(city / "catalogue.yaml", "  - {id: R2010,", RULE)
    loaded = load_city(city)
    assert "2099" in loaded.categories
    assert {"intake.kiosk", "outcome.kiosk"} <= {topic.name for topic in topics.topics_of(loaded)}
