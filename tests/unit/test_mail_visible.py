"""HTML to the text a reader sees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.mail.visible import visible_text
from tests.cheap import cheap


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("one<br>two", "one\ntwo"),
        ("one<br><br>two", "one\n\ntwo"),
        ("<div>one</div><div><br></div><div>two</div>", "one\n\ntwo"),
        ("<div>one</div>two", "one\ntwo"),
        ("un<b>break</b>able", "unbreakable"),
        ("  many \n spaces  ", "many spaces"),
        ("<td>a</td>", "a"),
        ("<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1 2\n3"),
        ("<ul><li>a<li>b</ul>", "a\nb"),
        ("<head><title>no</title></head><style>p{}</style><script>x</script>yes", "yes"),
        ('<span style="display:none">preview</span>text', "text"),
        ("caf&eacute; &lt;b&gt; &amp; &euro;", "café <b> & €"),
        ("<!-- comment -->text", "text"),
        ("", ""),
        ("<frameset>", ""),
        ("plain \x02 marks \x05", "plain marks"),
    ],
)
def test_visible_text(source: str, text: str) -> None:
    assert visible_text(source) == text


def test_pictures_written_into_a_large_page_do_not_cost_its_layout() -> None:
    picture = f'<img src="data:image/png;base64,{"A" * 1_500_000}">'
    assert visible_text(f"<p>one</p>{picture}<p>two</p>") == "one\n\ntwo"


def test_citations_are_marked_and_other_blockquotes_are_words() -> None:
    source = '<p>new</p><blockquote type="cite">old<blockquote type=CITE>older</blockquote></blockquote><p>below</p>'
    assert [line for line in visible_text(source).split("\n") if line.strip("> ")] == [
        "new",
        "> old",
        "> > older",
        "below",
    ]
    assert "> " not in visible_text("<blockquote>a poem</blockquote>")
    assert visible_text('<blockquote class="gmail_quote x">old</blockquote>') == "> old"


@pytest.mark.parametrize(
    "source",
    [
        "".join(f"<b id={i}><div>" for i in range(4000)) + "</b>" * 4000,
        "<div>" * 100_000,
        "<" * 200_000,
        "<a " * 50_000,
        "<!--" * 50_000,
        "<table><tr><td>" * 20_000,
        "<blockquote type=cite>" * 600 + "x<br>" * 1000,
        "<b id=1><p>" * 990,
        '<div style="display:none">' * 900,
        " " * 500_000,
        "&" * 300_000,
        "<p>x" * 1_000_000,
        "<" * 5_000_000,
        "<p>x</p>" * 100_000,
    ],
    ids=range(14),
)
def test_hostile_html_is_cheap(source: str) -> None:
    with cheap(2):
        visible_text(source)


@given(st.text("<>/abdivp blockquote=\"'!-&;\x00\x02\x05é\n", max_size=200))
def test_it_never_fails(source: str) -> None:
    visible_text(source)
