"""A second city, small enough to read: two streets, five units, three categories."""

from __future__ import annotations

from pathlib import Path

from routers.texts import TEXTS

FILES = {
    "city.yaml": """\
version: 1
code: SH
zh: 双河县
channels:
  phone: {zh: 双河热线, kind: hotline}
  kiosk: {zh: 自助终端, kind: app}
outside: [远山县]
""",
    "units.yaml": """\
version: 1
units:
  - {code: DESK, num: "1", zh: 双河热线中心, short: 热线, kind: hub, hours: "24x7"}
  - {code: SUPV, num: "2", zh: 双河督查室, short: 督查, kind: hub, dispatchable: false}
  - {code: WATER, num: "3", zh: 双河自来水厂, short: 水厂, kind: utility, aliases: [自来水]}
  - {code: LOCAL, zh: 属地街道, short: 属地, kind: virtual, resolve: geography}
  - {code: EAST, zh: 河东街道办事处, short: 河东街道, kind: street}
  - {code: WEST, zh: 河西镇人民政府, short: 河西镇, kind: town}
""",
    "taxonomy.yaml": """\
version: 1
sla_tiers:
  FAST: {zh: 急, clock: natural, accept: 15m, first_contact: 30m, close: 4h}
  SLOW: {zh: 缓, clock: working, accept: 4h, first_contact: 1d, close: 7d, extensions: 1, extension_max: 7d}
demand_types:
  - {code: HELP, zh: 求助, cues: [帮忙]}
  - {code: CONSULT, zh: 咨询, cues: [请问]}
out_of_scope:
  - {code: OOS-FIRE, zh: 火警, action: live_transfer, to: "119", kw: [着火]}
categories:
  - code: "1"
    zh: 供水
    children:
      - code: "11"
        zh: 停水
        kw: [停水, 没水]
        lead: WATER
        co: [LOCAL]
        urgency: high
        tier: FAST
        location: required
      - {code: "12", zh: 水费, kw: [水费], lead: WATER, urgency: low, tier: SLOW, location: none}
  - code: "2"
    zh: 环境
    children:
      - {code: "21", zh: 垃圾, kw: [垃圾], lead: LOCAL, urgency: normal, tier: SLOW, location: required}
""",
    "catalogue.yaml": """\
version: 1
rules:
  - {id: C11, category: "11", unit: WATER, co: [LOCAL], effective: 2020-01-01}
  - {id: C12, category: "12", unit: WATER, effective: 2020-01-01}
  - {id: C21-EAST, category: "21", place: EAST, unit: LOCAL, effective: 2020-01-01}
  - {id: C21-WEST, category: "21", place: WEST, unit: WEST, effective: 2020-01-01}
""",
    "places.yaml": """\
version: 1
district: {code: SH, zh: 双河县, outline: [[100, 30], [102, 30], [102, 31], [100, 31]]}
streets:
  - code: EAST
    zh: 河东街道
    aliases: [东岸]
    outline: [[101, 30], [102, 30], [102, 31], [101, 31]]
    communities:
      - code: EAST1
        zh: 码头社区
        aliases: [老码头]
        outline: [[101, 30], [102, 30], [102, 30.5], [101, 30.5]]
        grids:
          - {code: EAST11, zh: 码头网格, numbers: {河滨路: [1-20]},
             outline: [[101, 30], [101.5, 30], [101.5, 30.5], [101, 30.5]]}
          - {code: EAST12, zh: 鱼市网格, numbers: {河滨路: [21-40]},
             outline: [[101.5, 30], [102, 30], [102, 30.5], [101.5, 30.5]]}
  - code: WEST
    zh: 河西镇
    aliases: [西岸]
    outline: [[100, 30], [101, 30], [101, 31], [100, 31]]
""",
    "knowledge.yaml": """\
version: 1
entries:
  - id: E1
    title: 水厂的上班时间
    patterns: [[水厂, 几点]]
    answer: 水厂营业厅 8:00 至 18:00 开放。
    category: "12"
    owner: WATER
    effective: 2020-01-01
    expires: 2099-12-31
    approved: true
""",
    "policies.yaml": """\
version: 1
desk: DESK
rulings: DESK
supervisor: SUPV
default_tier: SLOW
fallback_units: [WATER]
dispatch_confidence: 0.5
max_returns: 1
max_redo: 1
call_back_tries: 2
max_queue: 50
text_limits: {demand: 2000, reply: 2000, note: 500}
return_reasons:
  R1: {zh: 属地不符}
  R2: {zh: 职能不符, needs_basis: true, needs_proposal: true}
contact_exemptions: {no_contact: 未留联系方式}
close_exemptions: {no_contact: 未留联系方式, unreachable: 联系不上, redo_used_up: 已重办}
decline_codes: {ENDED: 已办结}
reveal_purposes: {contact: 联系诉求人}
erase_purposes: {requested: 诉求人申请删除}
safety_words: [触电]
""",
    "texts.yaml": "version: 1\ntexts:\n"
    + "".join(f"  {key}: 双河提醒您\n" for key in TEXTS)
    + "  declined.OOS-FIRE: 请拨打 119。\n  refused.empty: 请重新提交。\n",
}


def build_tiny_city(folder: Path) -> Path:
    """Write the city into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
