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
    """Sparse counts of a batch, by rows: the features of text `i` lie from `starts[i]` to `starts[i + 1]`."""

    starts: Places
    buckets: Places
    counts: Counts


MOST_BITS = 20
MOST_TEXTS = 1 << (32 - MOST_BITS)
"""Texts of one call: text and bucket together are a number of 32 bits, which sorts three times as fast as one of 64."""


def count(texts: Sequence[str], sizes: Sequence[int], bits: int) -> Counted:
    """Count the n-grams of some texts.

    Letters are compared without case and width, every digit is the same, every blank is one blank.

    Args:
        texts: at most `MOST_TEXTS` strings, empty ones too.
        sizes: lengths of the n-grams in characters, each 1 or more.
        bits: the buckets are numbers below 2^bits; at most `MOST_BITS`.
    """
    assert len(texts) <= MOST_TEXTS, f"{len(texts)} texts at once"
    assert bits <= MOST_BITS, f"{bits} bits"
    codes, owners = _codes(texts)
    keys = []
    for size in sizes:
        last = len(codes) - size + 1
        if last > 0:
            within = owners[:last] == owners[size - 1 :]
            keys.append(((owners[:last] << np.uint32(bits)) | _hashed(codes, size, bits))[within])
    every = np.concatenate(keys) if keys else np.zeros(0, np.uint32)
    if not len(every):
        return Counted(np.zeros(len(texts) + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    every.sort()
    firsts = np.flatnonzero(np.concatenate(([True], every[1:] != every[:-1])))
    found = every[firsts].astype(np.int64)
    starts = np.searchsorted(found, np.arange(len(texts) + 1, dtype=np.int64) << bits)
    return Counted(starts, found & ((1 << bits) - 1), np.diff(firsts, append=len(every)).astype(np.float32))


def grams_of(text: str, sizes: Sequence[int], bits: int) -> list[tuple[Places, Places, Codes]]:
    """Return the n-grams of one text for each size: where they start, their lengths, and their buckets."""
    codes, _owners = _codes([text])
    return [
        (np.arange(len(codes) - size + 1), np.full(len(codes) - size + 1, size), _hashed(codes, size, bits))
        for size in sizes
        if len(codes) >= size
    ]


def _codes(texts: Sequence[str]) -> tuple[Codes, Codes]:
    """Return the folded code points of all texts in one array, and the number of the text each belongs to."""
    raw = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    folded = _fold()[np.minimum(raw, _BMP)]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return folded, np.repeat(np.arange(len(texts), dtype=np.uint32), lengths)


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
