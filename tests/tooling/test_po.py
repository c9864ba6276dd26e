"""The catalogue compiler, judged by the standard library's own reader of compiled catalogues."""

import gettext
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinetrial import po

HEADER = (
    'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Plural-Forms: nplurals=1; plural=0;\\n"\n\n'
)


def read(tmp_path, text):
    path = tmp_path / "django.po"
    path.write_text(HEADER + text, encoding="utf-8")
    return po.read(path)


def compiled(messages):
    return gettext.GNUTranslations(io.BytesIO(po.compile_catalogue(messages)))


def test_contexts_plurals_and_long_strings(tmp_path):
    catalogue = compiled(
        read(
            tmp_path,
            """
# a comment
#: patients/models.py:1
msgid "Arm"
msgstr "手臂"

msgctxt "trial"
msgid "Arm"
msgstr "组别"

#, python-format
msgid "%(n)s query"
msgid_plural "%(n)s queries"
msgstr[0] "%(n)s 条质疑"

msgid ""
"first \\"line\\"\\n"
"second"
msgstr ""
"第一行\\n"
"第二"

#~ msgid "gone"
#~ msgstr "没了"
""",
        )
    )
    assert catalogue.gettext("Arm") == "手臂"
    assert catalogue.pgettext("trial", "Arm") == "组别"
    assert catalogue.ngettext("%(n)s query", "%(n)s queries", 5) == "%(n)s 条质疑"
    assert catalogue.gettext('first "line"\nsecond') == "第一行\n第二"
    assert catalogue.gettext("gone") == "gone"


def test_untranslated_and_fuzzy_entries_fall_back_to_the_source(tmp_path):
    catalogue = compiled(
        read(
            tmp_path, '#, fuzzy\nmsgid "Arm"\nmsgstr "手"\n\nmsgid "Site"\nmsgstr ""\n\nmsgid "Visit"\nmsgstr "访视"\n'
        )
    )
    assert [catalogue.gettext(word) for word in ("Arm", "Site", "Visit")] == ["Arm", "Site", "访视"]


def test_entries_need_no_blank_line_between_them(tmp_path):
    messages = read(tmp_path, 'msgid "a"\nmsgstr "甲"\nmsgid "b"\nmsgstr "乙"\n')
    assert [message.strings for message in messages[1:]] == [["甲"], ["乙"]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('msgid "Arm"\nmsgstr ""\n', "not translated"),
        ('#, fuzzy\nmsgid "Arm"\nmsgstr "组"\n', "fuzzy"),
        ('msgid "%(n)s days"\nmsgstr "天"\n', "placeholders"),
        ('msgid "days"\nmsgstr "%(n)s 天"\n', "placeholders"),
        ('msgid "a"\nmsgid_plural "b"\nmsgstr[0] "甲"\nmsgstr[1] "乙"\n', "plural"),
    ],
)
def test_an_incomplete_translation_is_found(tmp_path, text, complaint):
    (fault,) = po.faults(read(tmp_path, text))
    assert complaint in fault


def test_a_complete_translation_has_no_faults(tmp_path):
    text = 'msgid "one day"\nmsgid_plural "%(n)s days"\nmsgstr[0] "%(n)s 天"\n\n'
    text += 'msgid "%(a)s of %(b)s"\nmsgstr "%(b)s 之 %(a)s"\n'
    assert po.faults(read(tmp_path, text)) == []


@pytest.mark.parametrize(
    "text", ['msgid "a\nmsgstr "b"\n', '"lost"\n', "nonsense\n", 'msgid "a"\nmsgstr "b"\n\nmsgid "a"\nmsgstr "c"\n']
)
def test_a_broken_catalogue_is_refused_with_its_line(tmp_path, text):
    with pytest.raises(po.CatalogueError, match=r"django\.po:\d+"):
        read(tmp_path, text)


def test_only_changed_catalogues_are_written(tmp_path):
    read(tmp_path, 'msgid "a"\nmsgstr "b"\n')
    assert po.compile_below(tmp_path) == [tmp_path / "django.mo"]
    assert po.compile_below(tmp_path) == []


word = st.text(st.characters(codec="utf-8", exclude_characters="\0\x04"), min_size=1, max_size=30)


@given(pairs=st.dictionaries(word, word, max_size=20))
def test_whatever_is_compiled_is_read_back(pairs):
    header = po.Message(msgid="", strings=["Content-Type: text/plain; charset=UTF-8\n"])
    catalogue = compiled([header, *(po.Message(msgid=key, strings=[text]) for key, text in pairs.items())])
    assert {key: catalogue.gettext(key) for key in pairs} == pairs
