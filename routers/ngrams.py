"""Texts as counts of hashed character n-grams: what the classifier reads.

Chinese has no blanks between words, and in short texts pairs and triples of characters do what
words would (Wang and Manning, ACL 2012, on bigrams for short texts). A batch is turned into one
array of code points and everything else is done on that array, so that a text costs microseconds.
The hash makes a vocabulary needless: training and inference agree by arithmetic alone (Weinberger
et al., ICML 2009, feature hashing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from routers.phrases import plain

Codes = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int64]
Counts = npt.NDArray[np.float32]

_BMP = 0x10000
_DIGIT, _BLANK, _BEYOND = ord("0"), ord(" "), 0xFFFD
_STEP = np.uint32(0x9E3779B1)
"""An odd number near 2^32 / golden ratio: multiplying by it spreads neighbours (Knuth, TAOCP 3, 6.4)."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Sparse counts of a batch, by rows: the features of row `i` lie from `starts[i]` to `starts[i + 1]`."""

    starts: Places
    buckets: Places
    counts: Counts


MOST_BITS = 20
MOST_TEXTS = 1 << (32 - MOST_BITS)
"""Texts of one call: text, view and bucket make a number of 32 bits, which sorts three times as fast as one of 64."""


class View(NamedTuple):
    """One way of reading a text: its first `reach` characters, in n-grams of these sizes."""

    reach: int
    sizes: tuple[int, ...]


def count(texts: Sequence[str], sizes: Sequence[int], bits: int) -> Counted:
    """Count the n-grams of some texts, read to their ends; see `count_views`."""
    return count_views(texts, (View(max(map(len, texts), default=0), tuple(sizes)),), bits)


def count_views(texts: Sequence[str], views: Sequence[View], bits: int) -> Counted:
    """Count the n-grams of some texts in each of some views, all at once.

    Letters are compared without case and width, every digit is the same, every blank is one blank.

    Args:
        texts: at most `MOST_TEXTS` by the number of views (rounded up to a power of 2), empty ones too.
        views: each with sizes of 1 or more.
        bits: the buckets of view v are numbers from v 2^bits on, below (v + 1) 2^bits; at most `MOST_BITS`.

    Returns:
        The counts of each text in each view: those of text t in view v have the row t len(views) + v.
    """
    view_bits = (len(views) - 1).bit_length()
    assert len(texts) << view_bits <= MOST_TEXTS, f"{len(texts)} texts in {len(views)} views at once"
    assert bits <= MOST_BITS, f"{bits} bits"
    reach = max(view.reach for view in views)
    codes, lengths = _codes([text[:reach] for text in texts])
    passed = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    keys = []
    for at, view in enumerate(views):
        seen = codes if view.reach >= reach else codes[passed < view.reach]
        rows = np.arange(len(texts), dtype=np.uint32) << np.uint32(view_bits) | np.uint32(at)
        owners = np.repeat(rows << np.uint32(bits), np.minimum(lengths, view.reach))
        for size in view.sizes:
            last = len(seen) - size + 1
            if last > 0:
                every = owners[:last] | _hashed(seen, size, bits)
                keys.append(every if size == 1 else every[owners[:last] == owners[size - 1 :]])
    every = np.concatenate(keys) if keys else np.zeros(0, np.uint32)
    every.sort()
    fresh = np.empty(len(every), np.bool_)
    fresh[:1] = True
    np.not_equal(every[1:], every[:-1], out=fresh[1:])
    firsts = np.flatnonzero(fresh)
    found = every[firsts]
    bounds = np.arange(len(texts))[:, None] << view_bits | np.arange(len(views))
    starts = np.append(np.searchsorted(found, (bounds << bits).ravel().astype(np.uint32)), len(found))
    buckets = (found & np.uint32((1 << bits + view_bits) - 1)).astype(np.int64)
    return Counted(starts, buckets, np.diff(firsts, append=len(every)).astype(np.float32))


def grams_of(text: str, sizes: Sequence[int], bits: int) -> list[tuple[Places, Places, Codes]]:
    """Return the n-grams of one text for each size: where they start, their lengths, and their buckets."""
    codes, _lengths = _codes([text])
    return [
        (np.arange(len(codes) - size + 1), np.full(len(codes) - size + 1, size), _hashed(codes, size, bits))
        for size in sizes
        if len(codes) >= size
    ]


def _codes(texts: Sequence[str]) -> tuple[Codes, Places]:
    """Return the folded code points of all texts in one array, and how many are each text's."""
    raw = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return _fold()[np.minimum(raw, _BMP)], np.fromiter(map(len, texts), np.int64, len(texts))


def _hashed(codes: Codes, size: int, bits: int) -> Codes:
    """Return the bucket of the n-gram that begins at each place."""
    last = len(codes) - size + 1
    mixed = np.full(last, size, np.uint32)
    for offset in range(size):
        mixed = (mixed ^ codes[offset : offset + last]) * _STEP
        mixed ^= mixed >> np.uint32(15)
    return mixed >> np.uint32(32 - bits)


@cache
def _fold() -> Codes:
    """Return what stands for each code point; those beyond the basic plane, emoji mostly, are one."""
    table = np.arange(_BMP + 1, dtype=np.uint32)
    for code in range(0x20, _BMP):
        if not 0xD800 <= code < 0xE000:
            shown = plain(chr(code))
            table[code] = _DIGIT if shown.isdigit() else _BLANK if shown.isspace() else ord(shown)
    table[:0x20] = _BLANK
    table[_BMP] = _BEYOND
    return table
