"""The command line, before anything heavy is loaded."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from common.runs.provenance import code_version
from pipeline.cli import main

HEAVY = ("tfx", "tensorflow", "apache_beam", "pandas", "matplotlib", "kfp")


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["run", "--config", "nowhere.yaml"],
        ["run", "--config", "complete_journey", "--set", "labelling.alpha=2"],
        ["report", "--out", "nowhere"],
        ["schedule", "--help"],
        ["schedule", "--local", "--cron", "61 * * * *"],
        ["backfill", "--from", "2026-02-30", "--to", "2026-03-01"],
        ["submit", "--package-file", "nowhere.yaml"],
        ["runs", "--out", "nowhere"],
    ],
)
def test_answers_without_loading_tfx(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        f"try: main({arguments!r}, prog_name='hardtower')\n"
        "except SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("tfx", [None, "installed"])
def test_says_which_extra_a_command_needs(
    tfx: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With TFX there, a module that is missing is a mistake of ours: its traceback is wanted."""
    monkeypatch.setitem(sys.modules, "labs.simulator.simulate", None)
    monkeypatch.setattr("pipeline.cli.find_spec", lambda name: tfx)
    result = CliRunner().invoke(main, ["simulate", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert isinstance(result.exception, ModuleNotFoundError if tfx else SystemExit)
    assert ("its extra `pipeline`" in result.output) is not bool(tfx)


BAD_ARGUMENTS: dict[str, tuple[list[str], list[str]]] = {
    "alpha above 1": (["labelling.alpha=2"], ["labelling.alpha", "less than 1", "seen: 2"]),
    "alpha zero": (["labelling.alpha=0"], ["labelling.alpha", "greater than 0", "seen: 0"]),
    "unknown key": (["labelling.alhpa=0.1"], ["labelling.alhpa", "unknown key"]),
    "unknown top key": (["trainer.epochs=3"], ["trainer", "unknown key"]),
    "not key=value": (["labelling"], ["--set", "'labelling'", "key=value"]),
    "below a value": (["window_days.x=1"], ["window_days", "holds a value"]),
    "not a date": (["as_of=tomorrow"], ["as_of", "tomorrow", "2026-01-31"]),
    "too many shared layers": (["model.shared_layers=30"], ["shared_layers 30", "stack"]),
    "no mature click in the window": (
        ["labelling.delay=mature", "labelling.window_days=30"],
        ["labelling.window_days", "seen 30", "above the attribution window of 30 days"],
    ),
    "a date that is none": (["as_of=2024-13-45"], ["as_of", "2024-13-45", "2026-01-31"]),
    "the year 1": (["as_of=0001-01-01"], ["as_of", "0001-01-01", "from 1990 to 2100"]),
    "a century's window": (["window_days=9999999"], ["window_days", "3660"]),
    "a key twice": (["push={keep: 1, keep: 2}"], ["--set push", "'keep' is there twice"]),
    "set twice": (["window_days=3", "window_days=4"], ["--set window_days=4", "set twice"]),
    "set and undone": (["push.keep=3", "push={}"], ["--set push={}", "'push.keep' is set twice"]),
    "octal": (["window_days=050"], ["--set window_days", "050", "octal"]),
    "NUL": (['input.root="a\\0b"'], ["--set input.root", "NUL"]),
    "brackets": (["push=" + "[" * 3000], ["nested too deeply"]),
    "half a partition": (["input.pattern=a/{YYYY}/*"], ["input: ", "wanted all of {YYYY}"]),
    "a name that ends in a dash": (["name=clicks-"], ["name", "'clicks-'"]),
    "unknown contract": (["contract=nothing"], ["contract", "nothing", "complete_journey"]),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_a_wrong_setting_is_named(case: str) -> None:
    overrides, words = BAD_ARGUMENTS[case]
    options = [option for override in overrides for option in ("--set", override)]
    code, output = invoke("run", "--config", "complete_journey", *options)
    assert code == 2
    for word in words:
        assert word in output
    assert "Traceback" not in output
    assert len(output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", ["seen list", "wanted keys"]),
        ("a: [\n", ["not YAML"]),
        ("name: x-y\nwindow_days: 3\n", ["contract", "required"]),
    ],
)
def test_a_broken_config_file_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    code, output = invoke("run", "--config", str(path))
    assert code == 2
    for word in [str(path), *words]:
        assert word in output


BAD_CONTRACTS: dict[str, tuple[dict[str, object], list[str]]] = {
    "a leak as a feature": (
        {"leaks": ["device"]},
        ["features", "device", "leaks the outcome"],
    ),
    "the label as a feature": (
        {"features": {"categorical": [{"name": "y", "buckets": 5}]}},
        ["features", "y", "leaks the outcome"],
    ),
    "a reserved name": (
        {"features": {"categorical": [{"name": "task", "buckets": 5}]}},
        ["reserved", "task"],
    ),
    "an unknown key": ({"atribution": 3}, ["atribution", "unknown key"]),
    "an impossible window": (
        {"attribution_window_days": -1},
        ["attribution_window_days", "seen: -1"],
    ),
    "hash and vocabulary": (
        {"features": {"categorical": [{"name": "d", "buckets": 5, "vocabulary": 5}]}},
        ["exactly one of"],
    ),
    "no setup": (
        {"roles": {"timestamp": "t", "label": "y", "setup": []}},
        ["roles.setup"],
    ),
    "half a date": (
        {"input": {"format": "csv", "pattern": "x/{YYYY}/*.csv"}},
        ["{YYYY}", "wanted all of"],
    ),
}


@pytest.mark.parametrize("case", BAD_CONTRACTS)
def test_a_wrong_contract_is_named(tmp_path: Path, case: str) -> None:
    changes, words = BAD_CONTRACTS[case]
    contract: dict[str, object] = {
        "name": "mine",
        "description": "mine",
        "input": {"format": "csv", "pattern": "*.csv"},
        "attribution_window_days": 3,
        "roles": {"timestamp": "t", "label": "y", "setup": ["s"]},
        "features": {"categorical": [{"name": "device", "buckets": 5}]},
    }
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(contract | changes))
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"name": "m", "contract": str(path), "window_days": 9}))
    code, output = invoke("run", "--config", str(config))
    assert code == 2
    for word in [str(path), *words]:
        assert word in output


def test_missing_files_fail_before_anything_is_written(tmp_path: Path) -> None:
    code, output = invoke(
        "run",
        "--config",
        "simulator",
        "--set",
        f"input.root={tmp_path}",
        "--out",
        str(tmp_path / "out"),
    )
    assert code == 2
    assert "no file matches" in output
    assert not (tmp_path / "out").exists()


def test_report_without_runs(tmp_path: Path) -> None:
    code, output = invoke("report", "--out", str(tmp_path))
    assert code == 2
    assert "no finished run" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--config", "mine", "--out", "FILE/out"], ["FILE/out", "Not a directory"]),
        (["run", "--config", "y" * 300], ["File name too long"]),
        (["simulate", "--out", "FILE/log", "--set", "clicks=300"], ["FILE", "Not a directory"]),
        (["ab-report", "z" * 300], ["File name too long"]),
        (["serve", "--serving", ".", "--port", "99999"], ["--port", "99999", "65535"]),
    ],
)
def test_what_the_machine_will_not_do_is_one_line(
    tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    """Also for a user whom no permission stops, as in containers."""
    file = tmp_path / "file"
    file.touch()
    given = [a.replace("FILE", str(file)).replace("mine", "complete_journey") for a in arguments]
    code, output = invoke(*given)
    assert code in (1, 2)
    for word in words:
        assert word.replace("FILE", str(file)) in output
    assert "Traceback" not in output
    assert output.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("name", ["a [b]", "a*", "what?"])
def test_an_output_folder_that_is_a_pattern_is_refused(tmp_path: Path, name: str) -> None:
    code, output = invoke("run", "--config", "complete_journey", "--out", str(tmp_path / name))
    assert (code, (tmp_path / name).exists()) == (2, False)
    assert "wanted a path without" in output


def test_the_code_version_does_not_need_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("HARDTOWER_REVISION", raising=False)
    code_version.cache_clear()
    assert code_version() == version("hardtower")
    code_version.cache_clear()


BROKEN_FILES: dict[str, tuple[list[str], str, bytes, str]] = {
    "contract in Latin-1": (
        ["alpha", "--config", "ok.yaml"],
        "c.yaml",
        b"name: caf\xe9",
        "not YAML",
    ),
    "setups in UTF-16": (
        ["route", "--serving", ".", "--file", "setups"],
        "setups",
        "a|b".encode("utf-16"),
        "in UTF-8",
    ),
    "record that is none": (["runs", "--out", "."], "runs/a/manifest.json", b"{", "not JSON"),
    "manifest that is none": (
        ["experiment", "architectures", "--out", "."],
        "runs/a/manifest.json",
        b"[]",
        "manifest.json",
    ),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_a_broken_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    arguments, name, content, words = BROKEN_FILES[case]
    monkeypatch.chdir(tmp_path)
    Path("ok.yaml").write_text("{name: a, contract: c.yaml, window_days: 9}")
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content)
    code, output = invoke(*arguments)
    assert code == 2
    assert words in output
    assert len(output.strip().splitlines()) == 1


def test_a_backfill_is_of_years_that_clicks_have() -> None:
    code, output = invoke("backfill", "--from", "0001-01-01", "--to", "2026-01-01", "--local")
    assert code == 2
    assert "--from: seen '0001-01-01', wanted a date from 1990 to 2100" in output
