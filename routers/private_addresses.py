"""The private part of a dwelling's address: number of house, building, unit and room.

The estate, the road or the village stays, so that a clerk still finds the place: 虹苑小区〔地址1〕, 解放路〔地址1〕.
Numbers of public places (市民中心2号楼, 3号出口) are nobody's and stay, and so does the house of a shop or a school
that the text names behind it: there the place is the matter.
"""

from __future__ import annotations

import re

from routers.private_span import Kind, Sheet, Span, take

_HAN = "\u3400-\u9fff"
_HAN_ONE = rf"[{_HAN}]"
_NUMBER = (
    r"(?:[0-9]{1,4}[A-Za-z]?|[A-Za-z][0-9]{0,4}|[一二三四五六七八九十百零〇]{1,4}|[甲乙丙丁]|[东西南北中](?=单元))"
)
_NOT_HOUSE = (
    "线|门(?!前|口)|口|出入?口|入口|出口|电梯|窗|井|杆|路|灯|柜|桌|机|段|文|令|公告|地块|桥|泵|公交|车|站|台|桩|厅|馆|看台|铺|店|商|摊|工|岗|仓"
    "|厂|坑|塔|闸|变|箱|垃圾|公厕|亭|点|球|教学|码|称|召|上午|下午|早|晚|凌晨|前|后|开始|左右|晶|产"
)
_PART = (
    rf"附?[甲乙丙丁]?{_NUMBER}(?:\s?[-－—–之]\s?{_NUMBER}){{0,3}}\s?"
    rf"(?:号大?杂?院|号楼|號楼|号房|号公寓|号别墅|号宅|号(?!{_NOT_HOUSE})|(?<=[东西南北中])单元|单元|排|支弄|栋|幢|懂(?=\d)|(?<=[0-9A-Za-z])座|弄|室|楼|层|门(?!口)|#楼?|院(?!长|校|内))"
)
_TAIL = (
    r"(?:\s?(?:[-－—]?\d{1,2}[-－—]\d{3,4}|[-－—]?[A-Za-z]?\d{3,4}[A-Za-z]?|[一二三四五六七八九][零〇一二三四五六七八九幺]{2,3})"
    r"(?![0-9A-Za-z.]|\s?[元块年月日吨度个次名人米路多分斤万平天小])|[东西南北中]户|东头|西头|(?<=号)[\u3400-\u9fff]{1,4}楼\d{3,4}(?![0-9年元]))?"
)
_CHAIN = re.compile(rf"(?<![0-9A-Za-z.\-月第共这那整]){_PART}(?:[\s,的]?{_PART}){{0,5}}{_TAIL}")
_PARTS = re.compile(_PART)
_LINE = re.compile(
    rf"(?<=[{_HAN}])\s?([A-Za-z]?\d{{1,3}}[A-Za-z]?(?:[-－—–]\d{{1,2}})?[-－—–]\d{{1,4}}(?:[-－—–]\d{{3,4}})?(?:室|号|户)?)"
    r"(?![0-9A-Za-z.\-]|\s?[元块年月日吨度个次名人米路分岁天小层楼点])"
)
"""Numbers in a line: 晨光里3-2-501."""

_LOOKS = re.compile(r"[0-9A-Za-z一二三四五六七八九十][号栋幢座室楼弄单懂#院]|\d[-－—–]\d")
"""Texts without these hold no address: a cheap look before the exact one."""

_DWELLING = re.compile(
    r"(?:[苑园城府湾里坊庭居轩阁廷郡寨屯村庄湖岸台邸墅洲岭塘院区期组队社巷弄景域都峰座宅舍庐楼寓门花江]|公馆|公寓|宿舍|壹号|一号|新居|国际|广场"
    r"|名都|豪庭|家属楼|安置房|小区|花园|家园|胡同|大街|[路街道]|[A-Z]区|\d期|\d区|我家|我住|住在|家住|房号|地址[:：]?|住址[:：]?|住)$"
)
_ROAD = re.compile(
    r"(?:[路街巷弄道里村组屯湾条社坊场头岭沟坪塘寨庄营堡堂桥坡埠段楼苑园院边坎坳冲湖畈墩埂集圩队]|胡同|小区|花园|家园|新居|公寓|宿舍|公馆|山庄|别墅"
    r"|门牌号?[:：]?|地址[:：]?|住址[:：]?)$"
)
_PUBLIC = re.compile(
    r"(?:医院|门诊楼?|住院部?|卫生院|学校|中学|小学|大学|学院|校区|幼儿园|车站|火车站|高铁站|机场|地铁站?|公园|体育馆|图书馆|博物馆|展览馆|文化馆|体育场"
    r"|[^居]中心|政务大?厅|大厅|商场|超市|市场|商城|办公楼?|写字楼|大厦|厂区?|产业园|工业园|科技园|创业园|物流园|园区|停车场|车库|法院|派出所|街道办|酒店|宾馆|影院"
    r"|隧道|地块|工地|项目|标段|景区|收费站|服务区|仓库|码头|[东南西北]广场|文化广场|时代广场|市民广场|银行|公司|集团|养老院|敬老院|福利院|党校|法庭"
    r"|号线|公交|垃圾亭|驿站|教学楼|实验楼|综合楼|食堂|操场|馆)(?:内|里|里面|的|旁|旁边|附近|门口)?$"
)
_SHOP = re.compile(
    rf"(?:的|旁边?的?|附近的?|对面的?|门口的?|处的?|那家|这家|有家|有一家|一家|开的|[（(\s])?(?!住|户|业|居|楼|邻|家|投|反|电|手)[{_HAN}A-Za-z]{{0,5}}?"
    r"(?:超市|饭店|餐馆|餐厅|面馆|酒店|宾馆|旅馆|公司|工厂|加工厂|厂房|学校|中学|小学|医院|诊所|幼儿园|药店|药房|网吧|酒吧|歌厅|会所|市场|商场|银行|浴室"
    r"|门店|商铺|店铺|门市|店|馆|菜场|工地|路段|路口|烧烤|茶楼|影院|驿站|健身房|加油站|洗车行|修车|垃圾站|公厕|棋牌室|活动室|美容院|培训|机构|办公室|中介)"
)
_LONE_ROOM = re.compile(r"(?:住|住在|我家|家住|楼上|楼下|对门|隔壁|邻居|房号|业主|租户|租客)[:：]?$")
_COUNTED = re.compile(r"(?:有|共|几|第|盖|建|拆|多|数|整|这|那|每|各|另|前|后|约|近|两|来|修|封|停|了)$")
_CHINESE = frozenset("一二三四五六七八九十百两")
_MEASURED = re.compile(rf"(?!的?[业居住邻]|[在有每顶没是全后前旁门]|楼[下顶上前后]|的?楼道){_HAN_ONE}")
"""What follows a number of houses rather than a house's number: 三栋楼都..., 一栋旧厂房."""

_HOUSES = re.compile(rf"楼(?![下顶上前后道梯里内栋]){_HAN_ONE}")

_OFFICIAL = re.compile(r"(?:文件|通知|公告|规定|政发|函|令|法)$")


def mark_addresses(sheet: Sheet) -> None:
    """Mark the private parts of addresses on a sheet on which numbers and names are marked."""
    text = sheet.text
    if _LOOKS.search(text) is None:
        return
    spans = [
        Span(found.start(), found.end(), Kind.ADDRESS, _plain(found.group()))
        for found in _CHAIN.finditer(text)
        if _is_private(text, found)
    ]
    taken = bytearray(len(text))
    for span in spans:
        take(taken, span.start, span.end)
    for found in _LINE.finditer(text):
        start, end = found.span(1)
        if not any(taken[start:end]) and _is_line(text, start, found[1]):
            spans.append(Span(start, end, Kind.ADDRESS, _plain(found[1])))
    sheet.mark(spans)


def _is_private(text: str, found: re.Match[str]) -> bool:
    before = text[max(0, found.start() - 12) : found.start()].rstrip(" 　,，的内")
    if _PUBLIC.search(before) is not None or _OFFICIAL.search(before) is not None:
        return False
    said = found.group()
    kinds = [_kind_of(part.group()) for part in _PARTS.finditer(said)]
    room = said[-1] in "室户" or said[-1].isdigit() or kinds[-1] == "door"
    if room + ("building" in kinds) + ("unit" in kinds) > 1:
        return True  # no public place is counted like this
    if "building" in kinds:
        counted = _MEASURED if said[0] in _CHINESE else _HOUSES
        many = counted.match(text, found.end()) is not None or _COUNTED.search(before) is not None
        return not many and _DWELLING.search(before) is not None
    if "yard" in kinds and "号" in said and len(before) > 1 and not before[-1].isdigit():
        return _COUNTED.search(before) is None
    if "house" in kinds:
        shop = set(kinds) == {"house"} and not room and _SHOP.match(text, found.end()) is not None
        return _ROAD.search(before) is not None and not shop
    dwelling = _DWELLING.search(before) is not None
    return ("unit" in kinds and dwelling) or ("room" in kinds and (dwelling or _LONE_ROOM.search(before) is not None))


def _kind_of(part: str) -> str:
    if part.endswith(("栋", "幢", "懂", "号楼", "號楼", "座", "#", "#楼", "号公寓", "号别墅")):
        return "building"
    if part.endswith("单元"):
        return "unit"
    if part.endswith("院"):
        return "yard"
    if part.endswith(("号", "弄", "号宅", "排")):
        return "house"
    if part.endswith(("室", "户", "号房")):
        return "room"
    return "door" if part.endswith("门") else "floor"


def _is_line(text: str, start: int, line: str) -> bool:
    """Tell whether numbers in a line are a dwelling: an estate stands before, and a room ends it."""
    before = text[max(0, start - 12) : start].rstrip()
    if _PUBLIC.search(before) is not None or _DWELLING.search(before) is None:
        return False
    numbers = re.findall(r"\d+", line)
    return len(numbers) > 2 or len(numbers[-1]) > 2 or line[-1] in "室户"


def _plain(part: str) -> str:
    return "".join(part.split()).upper()
