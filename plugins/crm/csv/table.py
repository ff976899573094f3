"""A CSV file as people really save it: Excel's separators and encodings, cut-off copies, stray cells.

No value of a cell appears in a sentence of this module: they end in logs and alerts.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SEPARATORS = ";,\t|"
"""Tried in this order: where the decimal sign is a comma (France, Spain), Excel writes ``;``."""

PROBLEMS = 5
"""So many problems of a file are told one by one; the others are counted."""


class Unreadable(Exception):
    """The file cannot be used as it is now. `column` names the missing column's setting, if that is why."""

    def __init__(self, text: str, *, column: str = "") -> None:
        super().__init__(text)
        self.column = column


class Problems:
    """What is wrong with single cells and rows: the first few in words, all of them counted."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.count = 0

    def add(self, sentence: str) -> None:
        """Count a problem, and keep its sentence when it is among the first."""
        self.count += 1
        if len(self.told) < PROBLEMS:
            self.told.append(sentence)

    def sentences(self) -> list[str]:
        """The first few, and how many more there are."""
        rest = self.count - len(self.told)
        return [*self.told, f"... and {rest} more of this kind"] if rest else list(self.told)


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one file; `lines` are their line numbers in it, counted from 1."""

    name: str
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    problems: Problems

    def cells(self, wanted: Mapping[str, str], required: Collection[str]) -> Cells:
        """The cells of the wanted columns that are there; `wanted` maps a setting to a column's name.

        Raises Unreadable with a "did you mean" for one that is `required` and not there.
        """
        named = {_plain(title): index for index, title in reversed(list(enumerate(self.header)))}
        for key in required:
            if _plain(wanted[key]) not in named:
                title = wanted[key]
                raise Unreadable(f'{self.name}, line 1: no column "{title}"{self._nearest(title)}', column=key)
        return Cells(self, {key: named[_plain(title)] for key, title in wanted.items() if _plain(title) in named})

    def _nearest(self, title: str) -> str:
        by_plain = {_plain(h): h for h in self.header}
        near = difflib.get_close_matches(_plain(title), list(by_plain), n=1, cutoff=0.5)
        if near:
            return f'; did you mean "{by_plain[near[0]]}"?'
        return f"; there are {', '.join(h for h in self.header if h) or 'none'}"


class Cells:
    """The cells of a table by the names the settings have for its columns."""

    def __init__(self, table: Table, at: Mapping[str, int]) -> None:
        self.table, self.at = table, at
        taken = set(at.values())
        self._others = [(i, title) for i, title in enumerate(table.header) if title and i not in taken]

    def get(self, row: int, column: str) -> str:
        """The text of a cell; empty where the column is not there."""
        index = self.at.get(column)
        return "" if index is None else self.table.rows[row][index].strip()

    def facts(self, row: int) -> dict[str, str]:
        """What stands in the columns that no setting names, under their own titles."""
        cells = self.table.rows[row]
        return {title: text for i, title in self._others if (text := cells[i].strip())}

    def title(self, column: str) -> str:
        """What the file itself calls a column."""
        return self.table.header[self.at[column]]

    def problem(self, row: int, column: str, what: str) -> None:
        """Note what is wrong with one cell."""
        table = self.table
        table.problems.add(f'{table.name}, line {table.lines[row]}, column "{self.title(column)}": {what}')

    def lines(self, rows: Iterable[int]) -> str:
        """The first line numbers of `rows`, for a sentence."""
        return " and ".join(str(self.table.lines[row]) for row in list(rows)[:3])


def _plain(title: str) -> str:
    return "".join(c for c in title.casefold() if c not in " -_\u00a0")


def read_table(path: Path, separator: str = "") -> Table:
    """Read a whole file. Raises Unreadable, with file and line, when it is missing, cut off or no CSV."""
    try:
        before = path.stat()
        data = path.read_bytes()
        after = path.stat()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or 'cannot be read'}") from None
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise Unreadable(f"{path.name} is being written right now")
    if data.startswith(b"PK\x03\x04"):
        raise Unreadable(f'{path.name} is an Excel workbook: save it as "CSV UTF-8"')
    return parse(path.name, decode(data), separator)


def decode(data: bytes) -> str:
    """Text from UTF-8 (with or without mark), UTF-16 with its mark (Excel's "Unicode text") or cp1252.

    A file to which two programs append can hold both: then each line is repaired by itself.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "".join(_decode_line(line) for line in data.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True))


def _decode_line(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")  # five bytes mean nothing in cp1252


def find_separator(line: str) -> str:
    """The separator that cuts a header line into most cells."""
    outside_quotes = "".join(line.split('"')[::2])
    return max(SEPARATORS, key=outside_quotes.count)


def parse(name: str, text: str, separator: str = "") -> Table:
    """The table in `text`. Raises Unreadable for no header, an unclosed quote or a last row cut off."""
    stream = io.StringIO(text, newline="")
    first = stream.readline()
    skipped = 0
    if first.lower().startswith("sep=") and len(first.rstrip("\r\n")) == 5:  # Excel's own hint
        separator, skipped, first = separator or first[4], 1, stream.readline()
    if not first.strip():
        raise Unreadable(f"{name} is empty: a first line with the columns' names is needed")
    separator = separator or find_separator(first)
    _, titles = next(_records(name, io.StringIO(first, newline=""), separator, skipped))
    header = tuple(title.strip() for title in titles)
    table = Table(name, header, [], [], Problems())
    for line, cells in _records(name, stream, separator, skipped + 1):
        _add(table, line, cells)
    if table.rows and len(table.rows[-1]) < len(header) and not text.endswith(("\n", "\r")):
        raise Unreadable(f"{name}, line {table.lines[-1]}: the last row is cut off; the file is not whole")
    for row in table.rows:
        row.extend([""] * (len(header) - len(row)))  # some programs leave out empty cells at the end
    return table


def _records(name: str, stream: io.StringIO, separator: str, read: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(stream, delimiter=separator, strict=True)
    while True:
        line = read + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise Unreadable(f"{name}, from line {line}: {error}") from None
        if cells is None:
            return
        yield line, cells


def _add(table: Table, line: int, cells: list[str]) -> None:
    if not any(cells):
        return
    width = len(table.header)
    if len(cells) > width and any(cells[width:]):
        # Which cell is the one too many cannot be told, and a shifted address is another customer's.
        table.problems.add(f"{table.name}, line {line}: {len(cells)} cells under {width} columns; the row is left out")
        return
    table.rows.append(cells[:width])
    table.lines.append(line)
