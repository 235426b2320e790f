"""Alert rules and the board name only metrics and labels that exist, and every alert has its test."""

import inspect
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

import streams.up
from sinks.metric_list import METRICS
from streams.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
GRAFANA = DEPLOY / "grafana"

TARGET_LABELS = {"job", "instance", "worker", "role"}
"""What Prometheus adds to whatever it scrapes."""


def read(path: Path) -> Any:
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def samples() -> dict[str, set[str]]:
    """Every name that can be asked for, with its labels."""
    known = {"up": set(TARGET_LABELS)}
    for each in METRICS:
        endings = ("_bucket", "_sum", "_count") if each.kind == "histogram" else ("",)
        known |= {each.name + ending: set(each.labels) | TARGET_LABELS | {"le"} for ending in endings}
    return known


ALERTS = [rule for group in read(PROMETHEUS / "alerts.yml")["groups"] for rule in group["rules"]]
TESTS = read(PROMETHEUS / "alerts_test.yml")["tests"]
BOARD = read(GRAFANA / "dashboards" / "yiwang.json")
PANELS = BOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + QUERIES

NAME = re.compile(r"\b(?:yiwang_\w+|up)\b")
BY = re.compile(r"\b(?:by|without|on) *\(([^)]*)\)")
SELECTOR = re.compile(r"(yiwang_\w+|up)\{([^}]*)\}")
LABEL = re.compile(r"(\w+) *(?:=~|!~|!=|=)")


def names(listed: str) -> list[str]:
    return [name for each in listed.split(",") if (name := each.strip())]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_only_for_what_there_is(expression: str) -> None:
    known = samples()
    asked = {name for name in NAME.findall(expression) if f"({name})" not in BY.findall(expression)}
    assert asked
    assert asked <= known.keys()
    labels = set().union(*(known[name] for name in asked))
    assert {name for listed in BY.findall(expression) for name in names(listed)} <= labels
    for name, selector in SELECTOR.findall(expression):
        assert set(LABEL.findall(selector)) <= known[name]


@pytest.mark.parametrize("expression", [each for each in EXPRESSIONS if "yiwang_" in each])
def test_figures_of_the_ledger_are_not_summed_over_workers(expression: str) -> None:
    """Every casework worker tells the same figures: the largest counts, not all of them together."""
    sources = {each.name: each.source for each in METRICS}
    plain = re.sub(r"_(bucket|sum|count)\b", "", expression)
    if {sources[name] for name in NAME.findall(plain)} == {"ledger"}:
        assert re.search(r"\b(max|min)\b", expression)
    else:
        assert re.search(r"\bsum\b", expression) or "loop_age" in expression


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "description"}
    assert alert["alert"].startswith("Yiwang")
    left = {name for listed in BY.findall(alert["expr"]) for name in names(listed)}
    told = set(re.findall(r"\$labels\.(\w+)", " ".join(alert["annotations"].values())))
    assert told <= (left or TARGET_LABELS)


def test_every_alert_is_tried_firing_and_not_firing() -> None:
    fires: dict[str, set[bool]] = {}
    for test in TESTS:
        for case in test["alert_rule_test"]:
            fires.setdefault(case["alertname"], set()).add(bool(case.get("exp_alerts")))
    assert fires.keys() == {alert["alert"] for alert in ALERTS}
    only_firing = {name for name, seen in fires.items() if True not in seen}
    assert only_firing == set()


def test_the_trials_feed_only_metrics_that_exist() -> None:
    known = samples()
    for test in TESTS:
        for series in test["input_series"]:
            name, _brace, labels = series["series"].partition("{")
            assert set(LABEL.findall(labels)) <= known[name]


def test_prometheus_reads_what_an_installation_writes() -> None:
    config = read(PROMETHEUS / "prometheus.yml")
    assert [(PROMETHEUS / name).exists() for name in config["rule_files"]] == [True]
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "yiwang"
    (found,) = job["file_sd_configs"]
    (file,) = found["files"]
    written = Path(Settings.model_fields["data"].default) / "run" / "prometheus-targets.json"
    assert file == f"../../{written}"
    assert f'"{written.name}"' in inspect.getsource(streams.up)


def test_the_board_covers_what_operations_ask() -> None:
    assert len(PANELS) >= 10
    asked = " ".join(QUERIES)
    for name in ("unaccounted", "backlog", "backlog_oldest_seconds", "overdue", "dead_letters", "lag", "ledger_up"):
        assert f"yiwang_{name}" in asked


def test_no_panel_covers_another() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)

    def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
        aside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        return not aside and not above

    places = [panel["gridPos"] for panel in PANELS]
    assert [pair for pair in combinations(places, 2) if overlap(*pair)] == []
    assert max(each["x"] + each["w"] for each in places) <= 24


def test_the_board_asks_the_source_that_is_provisioned() -> None:
    (source,) = read(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    asked = {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert asked == {source["uid"]}
    (provider,) = read(GRAFANA / "provisioning" / "dashboards" / "yiwang.yml")["providers"]
    assert provider["type"] == "file"


def test_a_legend_names_only_labels_that_are_left() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            left = {name for listed in BY.findall(target["expr"]) for name in names(listed)}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left
