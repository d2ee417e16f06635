"""The prose against the tree: links, files, names and commands; and lines that fit a screen."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import click
import pytest

from pipeline.cli import main

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "deploy" / "README.md",
    ]
)
FOLDERS = (
    "benchmarks",
    "common",
    "components",
    "deploy",
    "docs",
    "examples",
    "labs",
    "pipeline",
    "schemas",
    "service",
    "tests",
)
TREE = f"(?:{'|'.join(FOLDERS)})"
NAMES_OTHERS = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages that name files which are to be added, or are gone."""

WIDEST = 110


def of_root(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=of_root)


def prose(page: Path) -> list[str]:
    """The lines outside of code blocks, fenced or indented."""
    outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    return [line for line in outside.splitlines() if not line.startswith("    ")]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings as GitHub links to them."""
    heads = [line.lstrip("#").strip().lower() for line in prose(page) if line.startswith("#")]
    return frozenset(re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in heads)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", "\n".join(prose(page)))
    for link in (link for link in links if "://" not in link):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in NAMES_OTHERS], ids=of_root
)
def test_files_that_it_names_are_there(page: Path) -> None:
    """Sources may be named by the end of their path alone, within a stage for instance."""
    text = "\n".join(prose(page))
    named = set(re.findall(rf"`({TREE}/[\w./-]+\.\w+)`", text))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    ends = set(re.findall(r"`([\w/]+\.py)`", text))
    assert [end for end in sorted(ends) if not ending_in(end)] == []


@cache
def sources() -> tuple[str, ...]:
    inside = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return tuple(map(of_root, (*ROOT.glob("*.py"), *inside)))


def test_what_the_recipes_change_is_there() -> None:
    """Of the files that CONTRIBUTING names, those that it does not say to add."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(rf"`({TREE}/[\w./-]+\.\w+)`", text))
    added = {name for name in named if re.search(r"drift_watch|my_log|my_trunk", name)}
    assert len(added) > 5
    assert [name for name in sorted(named - added) if not (ROOT / name).exists()] == []


@every_page
def test_names_that_it_finds_in_a_file_are_defined_there(page: Path) -> None:
    """Where a page says `path/of/file.py`, `Class.method`."""
    said = re.findall(r"`([\w/]+\.py)`, `([A-Za-z_][\w.]*)`", page.read_text())
    astray = [
        (file, name)
        for file, name in said
        if not name.endswith(".py") and not any(name in defined_in(s) for s in ending_in(file))
    ]
    assert astray == []


def ending_in(path: str) -> list[str]:
    return [source for source in sources() if f"/{source}".endswith(f"/{path}")]


@cache
def defined_in(source: str) -> frozenset[str]:
    """Names that a module's statements give; `method` and `Class.method` for those of classes."""

    def names(statements: list[ast.stmt]) -> set[str]:
        found = set()
        for statement in statements:
            if isinstance(statement, ast.ClassDef):
                inside = names(statement.body)
                found |= inside | {f"{statement.name}.{name}" for name in inside}
            if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(statement.name)
            elif isinstance(statement, ast.AnnAssign | ast.Assign):
                found |= {node.id for node in ast.walk(statement) if is_name_given(node)}
        return found

    return frozenset(names(ast.parse((ROOT / source).read_text()).body))


PACKAGES = "benchmarks|common|components|labs|pipeline|schemas|service"


def test_modules_that_docstrings_name_are_there() -> None:
    """Where a source says `package.module` or `package.module.Name`."""
    astray = [
        (source, name)
        for source in sources()
        for name in re.findall(rf"`((?:{PACKAGES})(?:\.\w+)+)`", (ROOT / source).read_text())
        if not is_defined(name)
    ]
    assert astray == []


def is_defined(dotted: str) -> bool:
    parts = dotted.split(".")
    if (ROOT / Path(*parts)).is_dir():
        return True
    for length in range(len(parts), 0, -1):
        module = f"{'/'.join(parts[:length])}.py"
        if module in sources():
            name = ".".join(parts[length:])
            return not name or name in defined_in(module)
    return False


def is_name_given(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


BEFORE = r"(?:\$ )?(?:\w+=\S+ )*(?:uv run (?:--group \w+ )?)?(?:\.venv/bin/)?"


def commands(page: Path, program: str) -> list[tuple[str, tuple[str, ...]]]:
    """(what follows the program, the options behind that), in code spans and code blocks."""
    text = page.read_text().replace("\\\n", " ")
    spans = re.findall(r"`([^`\n]+)`", text)
    blocks = re.findall(r"^```.*?\n(.*?)^```$", text, flags=re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [line for line in text.splitlines() if line.startswith("    ")]
    said = []
    for line in (*spans, *(re.split(r"\s#", line)[0] for line in lines)):
        if match := re.match(rf"\s*{BEFORE}{program} +([a-z][\w.-]*)([^|;&]*)", line):
            said.append((match[1], tuple(re.findall(r"(?<!\S)--[a-z][a-z-]*", match[2]))))
    return said


@every_page
def test_commands_take_what_it_gives_them(page: Path) -> None:
    context = click.Context(main)
    for name, options in commands(page, "hardtower"):
        command = main.get_command(context, name)
        assert command is not None, name
        taken = {o for parameter in command.get_params(context) for o in parameter.opts}
        assert set(options) <= taken, name


@every_page
def test_make_and_benchmarks_have_what_it_asks_for(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    assert {target for target, _ in commands(page, "make")} <= set(targets)
    written = "".join(
        (ROOT / source).read_text() for source in sources() if "benchmarks/" in source
    )
    for module, options in commands(page, "python -m"):
        place = module.replace(".", "/")
        if place.startswith("benchmarks/"):
            assert {f"{place}.py", f"{place}/__main__.py"} & set(sources()), module
            assert [o for o in options if f'"{o}"' not in written] == [], module


@every_page
def test_lines_fit_a_screen(page: Path) -> None:
    long = [line for line in prose(page) if len(line) > WIDEST and not line.startswith("|")]
    assert long == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        linked.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text())
        found = {(page.parent / link).resolve() for link in links if "://" not in link}
        ahead += [target for target in found if target.is_file() and target not in linked]
    assert set(PAGES) <= linked
