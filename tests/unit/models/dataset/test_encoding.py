"""Encodings: a row that is not UTF-8 is shown as each encoding reads it."""

from models.dataset.encoding import escaped, readings


def test_the_word_that_encodings_read_most_differently_is_shown_by_each() -> None:
    """`váz` is equal in four of them; of `děti` each family of code pages makes another word."""
    found = readings("váz;děti;12".encode("cp1250"))

    assert "'děti' by cp1250;" in found
    assert "'dìti' by cp1252, cp1254, iso-8859-1, iso-8859-15;" in found
    assert "'dģti' by cp1257" in found
    assert "váz" not in found


def test_encodings_in_which_bytes_are_no_words_are_left_out() -> None:
    """cp1251 would mix Latin and Cyrillic, cp1252 put a sign of pounds before small letters."""
    found = readings("Łódź".encode("cp1250"))

    assert found.endswith(": 'Łódź' by cp1250")


def test_other_alphabets_are_read_by_their_code_page() -> None:
    assert "'Привет' by cp1251;" in readings("Привет".encode("cp1251"))
    assert "'νησί' by cp1253;" in readings("νησί".encode("cp1253"))


def test_bytes_that_no_encoding_reads_as_words_are_to_be_saved_as_utf8() -> None:
    """A control character of Latin-1, which has no place in the code pages of Windows."""
    assert readings(b"a\x81\x98b") == "save the file as UTF-8"


def test_undecodable_bytes_are_escaped_and_others_kept() -> None:
    text = b"Ren\xe9".decode(errors="surrogateescape")

    assert escaped(text) == r"Ren\xe9"
    assert escaped("René") == "René"
