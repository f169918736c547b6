"""Search in the texts of grids, such as names, params, tags and attributes, ranked by BM25.

The formula is that of Robertson and Zaragoza (2009), "The Probabilistic Relevance Framework: BM25
and Beyond", section 3.3, with the idf that is never negative. A store has thousands of grids and
not millions: the words of all are counted anew for each search, and nothing is stored.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from swarmgrid.inventory.row import GridRow

K1, B = 1.2, 0.75
PREFIX_WEIGHT = 0.5
"""Of a word that only begins with what is looked for: "magnet" finds "magnetisation"."""
MIN_PREFIX = 3
"""The least characters of such a beginning."""
ENDINGS = ("s", "es", "ed", "ing")
"""Of English words: "magnets" finds "magnet", with the same weight."""
_MAX_DEPTH = 20
_NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_SIGNS = "\u3040-\u30ff\u3400-\u9fff"
"""Written without blanks between words: each sign is one."""
_WORD = re.compile(rf"{_NUMBER}|[{_SIGNS}]|[^\W\d_{_SIGNS}]+", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words(text: str) -> list[str]:
    """The words of a text, as they are compared: without case and accents, names divided.

    ``lowTemperature`` and ``low_temperature`` are both two words; numbers are words.
    """
    divided = _CAMEL.sub(" ", unicodedata.normalize("NFKC", text))
    folded = unicodedata.normalize("NFKD", divided.casefold())
    bare = "".join(char for char in folded if not unicodedata.combining(char))
    found = _WORD.findall(unicodedata.normalize("NFKC", bare))
    return [_number(word) if word[0].isdecimal() else word for word in found]


def _number(text: str) -> str:
    """A number in one form: 0.40 is 0.4, and 1e3 is 1000."""
    value = float(text)
    return f"{value:.12g}" if math.isfinite(value) else text


def checked_text(text: object) -> str:
    """A text to look for; InputError if there is no word in it."""
    if not isinstance(text, str) or not words(text):
        raise InputError(f"the text is {brief(text)}; expected some words, 'low temperature'")
    return text


def row_words(row: GridRow) -> list[str]:
    """The words that a grid is found by."""
    texts = [row.function or row.folder, *_texts(row.params), *_texts(row.tags), row.about]
    texts += [text for name, axis in row.axes.items() for text in (name, *_ends(axis))]
    texts += [text for name, (_, dims) in row.outputs.items() for text in (name, *dims)]
    return [word for text in texts for word in words(text)]


def ranked(rows: Sequence[GridRow], text: str) -> list[tuple[float, GridRow]]:
    """The rows that have a word of a text, the best first; of equal ones in their order.

    Returns
    -------
    list of (float, GridRow)
        The score, larger than 0, and the row.
    """
    scores = to_scores([row_words(row) for row in rows], words(text))
    found = [(score, row) for score, row in zip(scores, rows, strict=True) if score > 0]
    return sorted(found, key=lambda pair: -pair[0])  # stable


def to_scores(documents: Sequence[Sequence[str]], asked: Sequence[str]) -> list[float]:
    """The scores of documents for some words that are looked for, each counted once."""
    counts = [Counter(document) for document in documents]
    mean = sum(map(len, documents)) / len(documents) if documents else 0.0
    scores = [0.0] * len(documents)
    for word in sorted({*asked}):  # in one order: sums of floats depend on it
        found = [_occurrences(count, word) for count in counts]
        n = sum(1 for one in found if one)
        idf = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
        for i, frequency in enumerate(found):
            if frequency:
                length = 1 - B + B * len(documents[i]) / mean
                scores[i] += idf * frequency * (K1 + 1) / (frequency + K1 * length)
    return scores


def _occurrences(count: Counter[str], word: str) -> float:
    """The number of times that a document has a word; one that begins with it counts less."""
    found = float(count[word])
    if len(word) >= MIN_PREFIX and not word[0].isdecimal():
        found += PREFIX_WEIGHT * sum(
            n
            for one, n in count.items()
            if (one != word and one.startswith(word)) or one in _without_ending(word)
        )
    return found


def _without_ending(word: str) -> set[str]:
    """The words that a word may be a form of."""
    found = {word.removesuffix(ending) for ending in ENDINGS} - {word}
    return {stem for stem in found if len(stem) >= MIN_PREFIX}


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts in params or tags: names and values."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield str(name)
            if depth < _MAX_DEPTH:
                yield from _texts(one, depth + 1)
    elif isinstance(value, (list, tuple)):
        if depth < _MAX_DEPTH:
            for one in value:
                yield from _texts(one, depth + 1)
    elif value is not None:
        yield str(value)


def _ends(axis: Any) -> Iterable[str]:
    """The texts among the smallest and largest value of an axis: numbers there say little."""
    return [end for end in (axis.least, axis.largest) if isinstance(end, str)]
