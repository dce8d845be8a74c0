"""What kind of file did somebody bring? Says plainly when it is no CSV, and finds its encoding, delimiter and end of line."""

import codecs
import csv
import re
from pathlib import Path

from charset_normalizer import from_bytes

from preference_center.errors import Invalid

SAMPLE = 256 * 1024
DELIMITERS = (",", ";", "\t", "|")

# what people write for an encoding, and the codec that reads it
ENCODINGS = {
    "utf8": "utf-8-sig",
    "utf8sig": "utf-8-sig",
    "utf16": "utf-16",
    "utf16le": "utf-16-le",
    "utf16be": "utf-16-be",
    "windows1250": "cp1250",
    "cp1250": "cp1250",
    "windows1252": "cp1252",
    "cp1252": "cp1252",
    "iso88591": "cp1252",  # as browsers read it: a superset
    "latin1": "cp1252",
    "iso88592": "iso8859-2",
    "latin2": "iso8859-2",
    "iso885915": "iso8859-15",
}

_KINDS = (
    (b"%PDF-", "a PDF"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (XLS)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3", "a SQLite database"),
    (b"{\\rtf", "an RTF document"),
)


def refuse_other_kinds(start: bytes) -> None:
    """Invalid, with the kind's name and the remedy, when these first bytes are plainly not a CSV."""
    if not start.strip(b"\xef\xbb\xbf\x00 \t\r\n,;"):
        raise Invalid("This file is empty. Export it again and look whether it has rows.")
    found = next((name for magic, name in _KINDS if start.startswith(magic)), "") or _other_kind(start)
    if found:
        raise Invalid(f"This is {found}, not a CSV. Open it where it was made and save or export it as CSV (UTF-8).")


def _other_kind(start: bytes) -> str:
    if start.startswith(b"PK\x03\x04"):
        if b"xl/" in start or b"[Content_Types].xml" in start:
            return "an Excel workbook (XLSX)"
        return "an OpenDocument sheet (ODS)" if b"opendocument" in start[:200] else "a ZIP archive"
    text = start[:2000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if text.startswith(b"<?xml"):
        return "an XML file"
    if re.match(rb"(\{\s*\"|\[\s*[\[{\"])", text):
        return "a JSON file"
    if _utf16(start) is None:
        odd = sum(byte < 32 and byte not in b"\t\n\r\f\x1a\x1b" for byte in start[:4096])
        if odd > len(start[:4096]) // 20:
            return "a binary file"
    return ""


def encoding_named(name: str) -> str:
    codec = ENCODINGS.get(re.sub(r"[^a-z0-9]", "", name.lower()))
    if codec is None:
        raise Invalid(
            "The encoding is not one we read.", {"encoding": "Choose UTF-8, UTF-16, Windows-1250 or Windows-1252."}
        )
    return codec


def encoding_of(file: Path) -> str:
    """The codec that reads this file. UTF-8 is believed only after all of the file was looked at."""
    with file.open("rb") as raw:
        start = raw.read(SAMPLE)
    found = _utf16(start)
    if found:
        return found
    stray = _first_stray_byte(file)
    if stray is None:
        return "utf-8-sig"
    with file.open("rb") as raw:  # a sample around the first byte that is not UTF-8, from a start of line
        raw.seek(max(0, stray - SAMPLE // 2))
        sample = raw.read(SAMPLE)
    return "utf-8-sig" if _mostly_utf8(sample) else _eight_bit(sample)


def _utf16(start: bytes) -> str | None:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    head = start[:4096]
    if len(head) < 4:
        return None
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if odd > half * 0.5 and even < half * 0.05:
        return "utf-16-le"
    if even > half * 0.5 and odd < half * 0.05:
        return "utf-16-be"
    return None


def _first_stray_byte(file: Path) -> int | None:
    """Where the file stops being UTF-8, or None when all of it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    at = 0
    with file.open("rb") as raw:
        while True:
            chunk = raw.read(1 << 20)
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as fault:
                return at - held + fault.start
            if not chunk:
                return None
            at += len(chunk)


def _mostly_utf8(sample: bytes) -> bool:
    """Ten good sequences for each stray byte: a UTF-8 file with a damaged place, not another encoding."""
    text = sample.decode("utf-8", "surrogateescape")
    stray = len(re.findall("[\udc80-\udcff]", text))
    good = len(re.findall("[\u0080-\ud7ff\ue000-\U0010ffff]", text))
    return good > 10 * stray


# Next to a letter these bytes are Polish letters in Windows-1250 and signs such as ¹ ³ ¿ £ in Windows-1252.
_POLISH = re.compile(rb"(?<=[A-Za-z\xf3\xea\xe6\xf1])[\xb9\xb3\x9f\xbf\x9c]|[\xa3\xaf\x8c\x8f](?=[a-z\xf3\xb9\xea])")
# … and these are Spanish and Portuguese in Windows-1252, and rare Romanian or Hungarian letters in Windows-1250.
_IBERIAN = re.compile(
    rb"[\xe3\xf5\xc3\xd5\xe0\xf2\xe8]|(?<=[aeiou])\xf1(?=[aeiou])|[\xaa\xba\xa1](?=[ A-Za-z,;\t\r\n\"])"
)


def _eight_bit(sample: bytes) -> str:
    polish, iberian = len(_POLISH.findall(sample)), len(_IBERIAN.findall(sample))
    if polish or iberian:
        return "cp1250" if polish >= iberian else "cp1252"
    lines = b"\n".join(line for line in sample.splitlines() if not line.isascii())[: 64 * 1024]
    best = from_bytes(lines, cp_isolation=["cp1250", "cp1252"], preemptive_behaviour=False).best()
    return best.encoding if best else "cp1252"


def delimiter_of(lines: list[str]) -> str:
    """The sign that cuts these lines into the same number of columns most often."""
    named = re.fullmatch(r"\ufeff?sep=(.)\s*", lines[0], re.IGNORECASE) if lines else None
    if named and named[1] in DELIMITERS:
        return named[1]
    return max(DELIMITERS, key=lambda sign: _agreement(lines, sign))


def _agreement(lines: list[str], sign: str) -> tuple[float, int]:
    try:
        widths = [len(cells) for cells in csv.reader(lines, delimiter=sign, skipinitialspace=True) if cells]
    except csv.Error:
        return (0, 0)
    if not widths or widths[0] < 2:
        return (0, 0)
    return (sum(width == widths[0] for width in widths) / len(widths), widths[0])
