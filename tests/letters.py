"""Labelled letters to a small city, made of a few phrases: enough to learn from in a second."""

from __future__ import annotations

import json
import random
from pathlib import Path

from streams.training.table import Labelled

_SAID = {
    "11": ("家里停水了", "水龙头拧开没水", "整栋楼断水两天", "自来水突然停了", "管子坏了没有水用"),
    "12": ("水费算错了", "水费单看不懂", "多收了我家水费", "想问水费怎么交", "水费扣了两次"),
    "21": ("垃圾没人清运", "楼下垃圾堆成山", "垃圾桶满了发臭", "路边倒了一堆垃圾", "装修垃圾乱扔"),
}
_BEFORE = ("你好，", "麻烦问一下，", "我住河东，", "")
_AFTER = ("，请处理。", "，什么时候能解决", "，急！", "，打过电话没用。", "")


def letters(count: int, seed: int = 1) -> Labelled:
    """Return so many letters, all categories alike."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        label = sorted(_SAID)[number % len(_SAID)]
        text = chance.choice(_BEFORE) + chance.choice(_SAID[label]) + chance.choice(_AFTER) + f"（{number}）"
        rows.append((text, label, f"g{number // 2}"))
    texts, labels, groups = zip(*rows, strict=True)
    return Labelled(texts, labels, groups, {})


def written(path: Path, data: Labelled) -> Path:
    """Write letters as JSON Lines."""
    path.write_text(
        "".join(
            json.dumps({"words": text, "about": label, "twin": group, "kind": "CONSULT" if "问" in text else "HELP"})
            + "\n"
            for text, label, group in zip(data.texts, data.labels, data.groups, strict=True)
        )
    )
    return path
