"""What nobody but the vault may read."""

from __future__ import annotations

from datetime import date
from time import perf_counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from routers.privacy import Masker, find, mask, mask_answer
from routers.private_checks import valid_card, valid_credit_code, valid_id

CHINESE = str.maketrans("0123456789", "零一二三四五六七八九")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
WEIGHTS = [2**power % 11 for power in range(17, 0, -1)]


def identity(first: str) -> str:
    """Return 17 digits with their check character, by the definition of ISO 7064 and not by our table."""
    total = sum(int(digit) * weight for digit, weight in zip(first, WEIGHTS, strict=True))
    check = (1 - total) % 11
    return first + ("X" if check == 10 else str(check))


def card(first: str) -> str:
    """Return digits with the last one that makes them pass."""
    return next(first + str(last) for last in range(10) if valid_card(first + str(last)))


mobiles = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
identities = st.builds(
    lambda area, born, running: identity(f"{area}{born:%Y%m%d}{running:03d}"),
    st.from_regex(r"[1-6][0-9]{5}", fullmatch=True),
    st.dates(min_value=date(1920, 1, 1), max_value=date(2026, 1, 1)),
    st.integers(0, 999),
)
words = st.text(alphabet="我家路灯不亮了，请打电话：身份证 abcXYZ。！\n〔〕手机号码@.+-", max_size=20)
gaps = st.sampled_from(["", " ", "-", "　", "—", "."])


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("打我手机13800138123", "打我手机〔手机1〕"),
        ("138-0013-8123 或 138 0013 8123", "〔手机1〕 或 〔手机1〕"),
        ("+86 13800138123，008613800138123，8613800138123", "〔手机1〕，〔手机1〕，〔手机1〕"),
        ("手机１３８００１３８１２３，微信同号13900139000", "手机〔手机1〕，微信同号〔手机2〕"),
        ("我的手机号一三八零零一三八一二七。", "我的手机号〔手机1〕。"),
        ("幺三八零零幺三八幺二三", "〔手机1〕"),
        ("座机 0831-2345678，(010)12345678", "座机 〔电话1〕，〔电话2〕"),
        ("办公电话：2345678 转人工", "办公电话：〔电话1〕 转人工"),
        ("身份证110105199003071235，找我", "身份证〔身份证1〕，找我"),
        ("身份证号是 11010519900307123x", "身份证号是 〔身份证1〕"),
        ("旧身份证 110105900307123", "旧身份证 〔身份证1〕"),
        ("转到6222 0200 0000 0000 000", "转到〔银行卡1〕"),
        ("发到 wang.wu+1@example.com.cn 吧", "发到 〔邮箱1〕 吧"),
        ("川A·5K2Q8 堵在门口，是川a5k2q8", "〔车牌1〕 堵在门口，是〔车牌1〕"),
        ("新能源车京AD12345", "新能源车〔车牌1〕"),
        ("川 A 12345 一直停在门口", "〔车牌1〕 一直停在门口"),
        ("打138，0013，8123", "打〔手机1〕"),
        ("一三八，零零一三，八一二三", "〔手机1〕"),
        ("1380013812313900139000", "〔手机1〕〔手机2〕"),
        ("①③⑧⓪⓪①③⑧①②③找我", "〔手机1〕找我"),
        ("١٣٨٠٠١٣٨١٢٣", "〔手机1〕"),
        ("证号 110105199003071231 打错一位", "证号 〔身份证1〕 打错一位"),
        ("QQ 55510022，微信号：wang_xiaoming88", "QQ 〔账号1〕，微信号：〔账号2〕"),
        ("护照号E12345678丢了", "护照号〔证件1〕丢了"),
        ("台胞证 03505523，护照 E 6191 1793", "台胞证 〔证件1〕，护照 〔证件2〕"),
        ("+86-718-6777101，028-56774701 转 8943", "〔电话1〕，〔电话2〕"),
        ("打1三85三573931找我", "打〔手机1〕找我"),
        ("①卡6217002425680172②电18895468047③住", "①卡〔银行卡1〕②电〔手机1〕③住"),
        ("支付宝账户tianye.nong，微信搜lan_yue07", "支付宝账户〔账号1〕，微信搜〔账号2〕"),
        ("我叫周桂芳，住虹苑小区3栋2单元501室", "我叫〔姓名1〕，住虹苑小区〔地址1〕"),
        ("来电人欧阳晓岚称其女儿丁小帆走失", "来电人〔姓名1〕称其女儿〔姓名2〕走失"),
        ("姓名方便，我也没办法；邻居罗美霞家养鸡", "姓名〔姓名1〕，我也没办法；邻居〔姓名2〕家养鸡"),
        ("古丽娜尔·艾山女士，多杰才让先生", "〔姓名1〕女士，〔姓名2〕先生"),
        ("联系人张伟民13800138123，张伟民不在就找他爱人", "联系人〔姓名1〕〔手机1〕，〔姓名1〕不在就找他爱人"),
        ("柳溪镇石桥村4组27号，解放路18号院3号楼2单元402", "柳溪镇石桥村4组〔地址1〕，解放路〔地址2〕"),
        ("晨光里3-2-501的业主，富春巷甲9号", "晨光里〔地址1〕的业主，富春巷〔地址2〕"),
    ],
)
def test_numbers_of_persons_become_placeholders(said: str, masked: str) -> None:
    assert mask(said) == masked


@pytest.mark.parametrize(
    "said",
    [
        "打过12345、110、119、120、122，也打过12315和95598",
        "客服400-810-8888没人接，800-810-1234也是",
        "停水48小时，2026年11月23日 14:30",
        "一二三四五六七楼都没水",
        "二〇二六年十一月二十三日",
        "水表读数 20261123，金额 1234567.89 元",
        "订单编号123456789012",
        "①停水②停电③没气④没路灯⑤没信号⑥没人管⑦没回音",
        "微信20000元被骗，微信支付不了",
        "税号91330198MA4XAXBT6R开票失败，单位代码123301984701234563",
        "王先生和小李都来过，张阿姨也说，赵经理不管",
        "孙记老汤在张家巷，李家桥下面有人钓鱼",
        "医生时间安排太紧，邻居严重扰民，司机马上要发车，业主任何时候都能进",
        "姓名和照片对不上，联系人方便的时候再打，户主一定要本人到场",
        "市民中心2号楼3号电梯，区人民医院门诊楼B座5号电梯，火车站北广场6号出口",
        "我们小区三栋楼都停水，共5栋，书院小区没有物业",
        "清风路28号李记面馆油烟大，公园路与解放街交叉口",
        "K138+001处护栏断了，138路没来，青政发〔2026〕18号",
        "",
    ],
)
def test_public_numbers_dates_and_amounts_stay(said: str) -> None:
    assert mask(said) == said


def test_a_valid_credit_code_is_an_organisation_and_a_mistyped_one_is_no_person() -> None:
    assert valid_credit_code("91330198MA4XAXBT6R")
    assert not valid_credit_code("91330198MA4XAXBT6Q")
    assert not valid_credit_code("110105199003071235")


def test_spans_tell_where_in_the_original_text_they_stand() -> None:
    text = "卡号６２２８４８７４３６７８１８６３３１，我叫王小满"

    assert [(text[span.start : span.end], str(span.kind)) for span in find(text)] == [
        ("６２２８４８７４３６７８１８６３３１", "bank_card"),
        ("王小满", "name"),
    ]


def test_digits_that_may_be_a_card_or_a_firms_code_are_hidden() -> None:
    both = "411804055611804114"
    assert valid_credit_code(both)
    assert valid_card(both)
    assert mask(f"转账到{both}") == "转账到〔银行卡1〕"


def test_a_number_keeps_its_placeholder_in_title_text_and_address() -> None:
    masker = Masker()

    assert masker.mask("13800138123 停水") == "〔手机1〕 停水"
    assert masker.mask("另一个是13900139000，还是打138 0013 8123") == "另一个是〔手机2〕，还是打〔手机1〕"


def test_an_answer_names_the_telephone_of_an_office_and_no_persons_mobile() -> None:
    said = "请拨打街道办 0831-2345678，或办公电话：2345679，或联系社区民警 13800138123"
    assert mask_answer(said) == "请拨打街道办 0831-2345678，或办公电话：2345679，或联系社区民警 〔手机1〕"


def test_a_placeholder_somebody_typed_is_not_given_to_another_number() -> None:
    assert mask("〔手机1〕和13800138123") == "〔手机1〕和〔手机2〕"


def test_check_characters_are_those_of_the_standards() -> None:
    assert valid_id("11010519491231002X")  # the sample of GB 11643
    assert valid_id("440524188001010014")  # its second sample
    assert not valid_id("110105194912310021")
    assert not valid_id("１1010519491231002X")
    assert valid_card("4111111111111111")
    assert not valid_card("4111111111111112")
    assert not valid_card("0" * 16)


@given(words, words, mobiles, st.lists(gaps, min_size=10, max_size=10))
@settings(max_examples=80, deadline=None)
def test_no_mobile_number_gets_through_however_it_is_written(
    before: str, after: str, number: str, between: list[str]
) -> None:
    written = number[0] + "".join(gap + digit for gap, digit in zip(between, number[1:], strict=True))

    for text in (written, written.translate(FULL_WIDTH), written.translate(CHINESE), f"+86{written}"):
        left = mask(before + text + after)
        assert text not in left
        assert not any(piece in left for piece in (number, number.translate(CHINESE), number.translate(FULL_WIDTH)))
        assert "〔手机" in left


@given(words, words, identities)
@settings(max_examples=60, deadline=None)
def test_no_valid_identity_number_gets_through(before: str, after: str, number: str) -> None:
    for text in (number, number.lower(), number.translate(FULL_WIDTH), f"{number[:6]} {number[6:14]} {number[14:]}"):
        left = mask(before + text + after)
        assert text not in left
        assert "〔身份证" in left or "〔邮箱" in left


@given(words, words, st.from_regex(r"[3-6][0-9]{14,17}", fullmatch=True).map(card))
@example("", "c", "62344277519000011")  # with the letter it passes for a firm's credit code
@settings(max_examples=40, deadline=None)
def test_no_card_gets_through(before: str, after: str, number: str) -> None:
    assert number not in mask(before + number + after)


@given(
    st.sampled_from(["我叫", "姓名：", "联系人", "户名："]),
    st.sampled_from("王李张刘陈杨赵黄周吴欧"),
    st.text(alphabet="伟芳秀英建国小明", min_size=2, max_size=2),
    st.sampled_from(["，", "。", "\n", " 13800138123", "女士", ""]),
)
@settings(max_examples=40, deadline=None)
def test_no_announced_name_gets_through(cue: str, family: str, given_name: str, after: str) -> None:
    name = ("欧阳" if family == "欧" else family) + given_name

    assert name not in mask(f"{cue}{name}{after}")


@given(st.integers(1, 99), st.integers(1, 9), st.integers(101, 3304), st.sampled_from(["栋", "幢", "号楼"]))
@settings(max_examples=30, deadline=None)
def test_no_room_gets_through_and_the_estate_stays(house: int, unit: int, room: int, word: str) -> None:
    masked = mask(f"虹苑小区{house}{word}{unit}单元{room}室漏水")

    assert masked == "虹苑小区〔地址1〕漏水"


anything = st.lists(
    st.one_of(
        words,
        mobiles,
        identities,
        st.text(max_size=8),
        st.from_regex(r"[0-9]{1,20}", fullmatch=True),
        st.sampled_from(
            [
                "〔手机1〕",
                "川A",
                "010-",
                "@qq.com",
                "一三八",
                "身份证",
                "电话",
                "+86",
                " ",
                "我叫王小明",
                "先生",
                "虹苑小区3栋",
                "1-2-301",
            ]
        ),
    ),
    max_size=8,
).map("".join)


@given(anything)
@settings(max_examples=60, deadline=None)
def test_masking_twice_is_masking_once_and_spans_are_in_order(text: str) -> None:
    once = mask(text)
    ends = [end for span in find(text) for end in (span.start, span.end)]

    assert ends == sorted(ends)

    assert mask(once) == once


@pytest.mark.parametrize(
    "piece", ["1", "1 3 ", "一三", "a.b", "138-", "(0", "@", "a@b.", "川A", "我叫王", "王小明先生", "3栋2单元", "阿·"]
)
def test_a_page_that_nearly_matches_everything_does_not_hold_up_a_worker(piece: str) -> None:
    page = (piece * 20_000)[:20_000]
    started = perf_counter()

    mask(page)

    assert perf_counter() - started < 2  # it takes tenths at most; a search that goes back and forth takes minutes
