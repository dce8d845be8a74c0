"""Files as people bring them: every encoding, delimiter and end of line, and everything that is wrong with them, by line."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as some

from preference_center.contacts import reading, sniffing
from preference_center.errors import Invalid

HEAD = "email,name,city\n"


def _file(tmp_path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    file = tmp_path / "people.csv"
    file.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return file


def _read(file: Path, encoding: str | None = None) -> list[reading.Row]:
    return list(reading.rows(file, reading.shape_of(file, encoding)))


POLISH = "email;imię;miasto\nzofia@example.org;Zofia Gęśla;Łódź\njan@example.org;Jan Żółć;Świnoujście\n"
SPANISH = "email;nombre;ciudad\nana@example.org;Íñigo Muñoz;A Coruña\nze@example.org;João Conceição;São Paulo\n"


@pytest.mark.parametrize(
    ("text", "encoding", "codec"),
    [
        pytest.param(POLISH, "utf-8", "utf-8-sig", id="UTF-8"),
        pytest.param(POLISH, "utf-8-sig", "utf-8-sig", id="UTF-8 with a mark"),
        pytest.param(POLISH, "utf-16", "utf-16", id="UTF-16 with a mark"),
        pytest.param(POLISH, "utf-16-le", "utf-16-le", id="UTF-16 without a mark"),
        pytest.param(POLISH, "utf-16-be", "utf-16-be", id="UTF-16 the other way round"),
        pytest.param(POLISH, "cp1250", "cp1250", id="Windows-1250 in Polish"),
        pytest.param("email;miasto\na@example.org;Łódź\n", "cp1250", "cp1250", id="Windows-1250 with one Polish word"),
        pytest.param(SPANISH, "cp1252", "cp1252", id="Windows-1252 in Spanish and Portuguese"),
        pytest.param("email,n\na@example.org,Peña\n", "cp1252", "cp1252", id="Windows-1252 with one Spanish word"),
        pytest.param("email,n\na@example.org,Anna\n", "ascii", "utf-8-sig", id="plain ASCII"),
    ],
)
def test_the_encoding_is_found_and_no_letter_is_lost(tmp_path: Path, text: str, encoding: str, codec: str) -> None:
    file = _file(tmp_path, text, encoding)
    shape = reading.shape_of(file)
    assert shape.encoding == codec
    again = [list(shape.columns), *(row.cells for row in reading.rows(file, shape))]
    assert again == [line.split(shape.delimiter) for line in text.splitlines()]


def test_the_first_accent_may_come_after_a_long_plain_beginning(tmp_path: Path) -> None:
    plain = "".join(f"a{number}@example.org,Anna\n" for number in range(20_000))
    file = _file(tmp_path, f"email,name\n{plain}b@example.org,Łukasz Śliwa\n", "cp1250")
    assert reading.shape_of(file).encoding == "cp1250"
    assert _read(file)[-1].cells[1] == "Łukasz Śliwa"


def test_an_encoding_can_be_named_and_a_wrong_name_is_said(tmp_path: Path) -> None:
    file = _file(tmp_path, "email,n\na@example.org,\xe6\n", "latin-1")
    assert _read(file, "Windows-1250")[0].cells[1] == "ć"
    assert _read(file, "Windows 1252")[0].cells[1] == "æ"
    with pytest.raises(Invalid, match="encoding"):
        reading.shape_of(file, "rot13")


def test_one_stray_byte_does_not_change_the_encoding_of_a_utf8_file(tmp_path: Path) -> None:
    file = _file(tmp_path, b"email,n\n" + "a@example.org,Żółć żółw\n".encode() * 9 + b"b@example.org,\xb3\n")
    rows = _read(file)
    assert rows[0].cells[1] == "Żółć żółw"
    assert rows[-1].cells[1] == "\udcb3"  # unreadable, and only this cell


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"])
def test_the_delimiter_is_found_among_others_in_the_text(tmp_path: Path, sign: str) -> None:
    lines = [sign.join(["email", "note", "city"])]
    lines += [sign.join([f"a{n}@example.org", '"one, two; three | four"', "Bath"]) for n in range(5)]
    file = _file(tmp_path, "\n".join(lines))
    assert reading.shape_of(file).delimiter == sign
    assert all(row.cells[1] == "one, two; three | four" for row in _read(file))


def test_excels_own_first_line_names_the_delimiter(tmp_path: Path) -> None:
    file = _file(tmp_path, "sep=;\nemail;name\na@example.org;Anna\n")
    assert reading.shape_of(file).columns == ("email", "name")
    assert [row.cells for row in _read(file)] == [["a@example.org", "Anna"]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR only"])
def test_every_end_of_line_is_read_and_lines_are_counted(tmp_path: Path, end: str) -> None:
    text = end.join(["email,note", f'a@example.org,"two{end}lines"', "", "b@example.org,x", ""])
    rows = _read(_file(tmp_path, text))
    assert [(row.line, row.cells) for row in rows] == [
        (2, ["a@example.org", f"two{end}lines"]),
        (5, ["b@example.org", "x"]),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("a@example.org,An\0na,Bath", "NUL", id="a NUL"),
        pytest.param('a@example.org,"Anna,Bath', "quote", id="a quote that is never closed"),
        pytest.param('a@example.org,"An"na,Bath', "quotes", id="a quote in the middle"),
        pytest.param(f"a@example.org,{'x' * 1001},Bath", "1,000", id="a field of 1,001"),
        pytest.param(f'a@example.org,"{"x" * 1_000_000}",Bath', "1,000", id="a field of a million"),
        pytest.param("a@example.org,Anna,Bath,more", "4 columns", id="too many columns"),
        pytest.param("a@example.org,Anna", "2 columns", id="too few columns"),
        pytest.param(",".join("x" * 60), "60 columns", id="sixty columns"),
    ],
)
def test_a_wrong_row_is_named_by_line_and_the_others_are_read(tmp_path: Path, line: str, reason: str) -> None:
    good = "".join(f"b{number}@example.org,Bo,Bath\n" for number in range(150))
    rows = _read(_file(tmp_path, f'{HEAD}{good}{line}\n{good}"c@example.org","Cy","Leeds"\n'))
    wrong = [row for row in rows if row.fault]
    assert [(row.line, reason in row.fault) for row in wrong] == [(152, True)]
    assert len(rows) == 302
    assert rows[-1].cells == ["c@example.org", "Cy", "Leeds"]


def test_empty_columns_at_the_end_and_empty_lines_are_no_fault(tmp_path: Path) -> None:
    rows = _read(_file(tmp_path, f"{HEAD}a@example.org,Anna,Bath,,\n,,\n\n   \n"))
    assert [row.cells for row in rows] == [["a@example.org", "Anna", "Bath"]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b"\xef\xbb\xbf\r\n\r\n", "empty", id="a mark and empty lines"),
        pytest.param(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "PDF", id="PDF"),
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG", id="PNG"),
        pytest.param(b"PK\x03\x04\x14\0\x06\0[Content_Types].xml xl/workbook.xml", "Excel", id="XLSX"),
        pytest.param(b"PK\x03\x04\x14\0\0\0people.csv", "ZIP", id="ZIP"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "XLS", id="XLS"),
        pytest.param(b"\x1f\x8b\x08\0", "gzip", id="gzip"),
        pytest.param(b"<!DOCTYPE html><html><body>Sign in", "web page", id="HTML"),
        pytest.param(b'[{"email": "a@example.org"}]', "JSON", id="JSON"),
        pytest.param(bytes(range(256)) * 20, "binary", id="bytes"),
        pytest.param(b"email,name\n", "no rows", id="only column names"),
        pytest.param(b"anna@example.org,Anna\nbo@example.org,Bo\n", "name the columns", id="no column names"),
        pytest.param(b",".join([b"c"] * 51) + b"\n" + b"x\n", "51 columns", id="51 columns"),
        pytest.param(b'"email,name\na@example.org,Anna\n', "column names", id="a broken first line"),
    ],
)
def test_what_is_no_csv_is_refused_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(Invalid, match=says) as refused:
        reading.shape_of(_file(tmp_path, content))
    assert "\n" not in refused.value.message
    assert "@example" not in refused.value.message


def test_columns_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    shape = reading.shape_of(_file(tmp_path, "Email,name,email,\na@example.org,Anna,b@example.org,x\n"))
    assert shape.columns == ("Email (column 1)", "name", "email (column 3)", "(column 4)")
    assert shape.repeated == ("Email", "email")


def test_a_quote_in_every_line_costs_no_more_than_reading_the_file_a_few_times(tmp_path: Path) -> None:
    rows = _read(_file(tmp_path, "email,n\n" + 'x","y\n' * 20_000))
    assert len(rows) == 20_000
    assert all(row.fault for row in rows)


@tuned(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.binary(max_size=600))
def test_no_bytes_whatever_break_the_reader(tmp_path: Path, tail: bytes) -> None:
    file = _file(tmp_path, b"email,name\na@example.org,Anna\n" + tail)
    try:
        rows = _read(file)
    except Invalid:
        return
    assert all(bool(row.fault) != bool(row.cells) for row in rows)


def test_utf16_is_only_seen_where_every_second_byte_is_nought() -> None:
    assert sniffing._utf16(b"email,na\0me\na@example.org,An\0na\n") is None
