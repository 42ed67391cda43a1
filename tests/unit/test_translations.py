"""The Chinese pages: each translates today's English page, with the same programs."""

import subprocess

import pytest

from tools.translations import Translation, is_same_program, stamp_of, translations

PAGES = [pytest.param(page, id=page.path.name) for page in translations()]
ENGLISH = "# Delete\n\n```python\nprint('Hello')  # a greeting\n```\n"
CHINESE = "# 删除\n\n```python\nprint('你好')  # 问候\n```\n"


def test_there_is_a_translation():
    assert PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_translation_is_of_todays_english(page):
    assert not page.is_stale, page.report()


@pytest.mark.parametrize("page", PAGES)
def test_a_translation_has_the_programs_of_the_english(page):
    assert list(page.different_programs()) == []


@pytest.fixture
def page(tmp_path):
    """A translated page in a repository, stamped and committed."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "delete.md").write_text(ENGLISH, encoding="utf-8")
    (tmp_path / "docs" / "delete.zh.md").write_text(CHINESE, encoding="utf-8")
    [page] = translations(tmp_path)
    page.write_stamp()
    who = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "Delete"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return page


def test_a_stamped_page_is_up_to_date(page):
    assert not page.is_stale
    assert page.path.read_text(encoding="utf-8") == f"---\ntranslation_of: {stamp_of(ENGLISH)}\n---\n\n{CHINESE}"


def test_a_page_whose_english_moved_on_tells_how_to_see_the_change(page, tmp_path):
    page.english.write_text(ENGLISH + "\nMore.\n", encoding="utf-8")
    commit = subprocess.run(
        ["git", "log", "--format=%h"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.strip()
    assert page.is_stale
    assert f"docs/delete.zh.md is behind docs/delete.md. To see what has changed, run  git diff {commit} -- " in (
        page.report(tmp_path)
    )


def test_a_page_of_an_unknown_english_tells_how_to_see_its_history(page, tmp_path):
    page.path.write_text(f"---\ntranslation_of: 0123456789ab\n---\n{CHINESE}", encoding="utf-8")
    assert "git log -p -- docs/delete.md" in page.report(tmp_path)


def test_a_page_without_a_stamp_is_stale(page):
    page.path.write_text(CHINESE, encoding="utf-8")
    assert page.is_stale


@pytest.mark.parametrize("front", ["title: 删除", "translation_of: 0123456789ab\ntitle: 删除"])
def test_stamping_keeps_the_front_matter(page, front):
    page.path.write_text(f"---\n{front}\n---\n\n{CHINESE}", encoding="utf-8")
    page.write_stamp()
    assert page.path.read_text(encoding="utf-8") == (
        f"---\ntranslation_of: {stamp_of(ENGLISH)}\ntitle: 删除\n---\n\n{CHINESE}"
    )


def test_another_program_and_a_missing_one_are_told(page):
    assert list(page.different_programs()) == []
    page.path.write_text(CHINESE.replace("print", "repr"), encoding="utf-8")
    assert list(page.different_programs()) == ["program 1 of delete.zh.md is not that of delete.md"]
    page.path.write_text("# 删除\n", encoding="utf-8")
    assert list(page.different_programs()) == ["delete.zh.md has 0 programs, delete.md has 1"]


def test_another_command_is_told_and_another_comment_is_not(page):
    block = "\n```sh\n# {}\nmake demo  # {}\n```\n"
    page.english.write_text(ENGLISH + block.format("look", "at it"), encoding="utf-8")
    translated = CHINESE + block.format("看", "一看")
    page.path.write_text(translated, encoding="utf-8")
    assert list(page.different_programs()) == []
    page.path.write_text(translated.replace("demo", "test"), encoding="utf-8")
    assert list(page.different_programs()) == ["the commands and outputs of delete.zh.md are not those of delete.md"]


@pytest.mark.parametrize(
    ("translated", "same"),
    [
        ("f(1, 'a')", True),
        ("f(1, 'a')  # 注释", True),
        ("f(1, '文件')", True),
        ("f(1, 'b')", False),
        ("f(2, 'a')", False),
        ("f(1, 'a', 2)", False),
        ("f('文件', 'a')", False),
        ("g(1, 'a')", False),
    ],
)
def test_programs_may_differ_in_comments_and_chinese_literals(translated, same):
    assert is_same_program("f(1, 'a')", translated) is same


def test_the_english_page_is_beside_the_translation(tmp_path):
    assert Translation(tmp_path / "README.zh.md").english == tmp_path / "README.md"
