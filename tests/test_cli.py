"""The command: exit codes, one clear line on stderr, machine-readable stdout, and no byte of the data that steers a terminal."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from explorer.cli import run
from explorer.cli.app import app_file, command_line
from explorer.cli.output import plain
from explorer.corpus.corpus import open_corpus
from explorer.selection.filters import Filters
from explorer.selection.threshold import Threshold

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def explorer(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """Run the command; (exit code, stdout, stderr). Its default workspace is the test's own."""
    monkeypatch.setenv("EXPLORER_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def answered(result: tuple[int, str, str]) -> Any:
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


def test_info_says_what_is_there(explorer: Said, tiny_files: Path) -> None:
    said = answered(explorer("info", tiny_files, "--json"))
    assert (said["documents"], said["files"]) == (60, 2)
    assert said["roles"] == {"text": "text", "id": "id", "source": "source"}
    assert said["sources"] == [{"source": "books", "documents": 30}, {"source": "web", "documents": 30}]
    assert {"column": "stars", "type": "int8"} in said["schema"]
    assert said["computed"] == []
    assert not Path(said["workspace"]).exists()  # looking writes nothing
    explorer("score", tiny_files, "-s", "pii", "--limit", 10)
    [computed] = answered(explorer("info", tiny_files, "--json"))["computed"]
    assert (computed["family"], computed["documents"], computed["share"]) == ("pii", 10, 10 / 60)
    code, out, err = explorer("info", tiny_files)
    assert code == 0
    assert err == ""
    assert "60 documents in 2 files" in out
    assert "pii\t1\t10\t16.7%\tpii_n_email, pii_n_ip" in out


def test_info_without_a_source_column_counts_files(explorer: Said, tiny_files: Path) -> None:
    said = answered(explorer("info", tiny_files, "--json", "--source", ""))
    assert said["sources"] == [{"source": "0-web", "documents": 30}, {"source": "1-books", "documents": 30}]


def test_roles_are_overridden_on_every_command_that_opens_a_corpus(explorer: Said, write_parquet: Callable[..., Path]) -> None:
    path = write_parquet("r.parquet", {"text": ["none"], "other": ["a@example.com"], "kind": ["k"]})
    roles = ("--text", "other", "--source", "kind", "--id", "text")
    assert answered(explorer("info", path, *roles, "--json"))["roles"] == {"text": "other", "id": "text", "source": "kind"}
    assert explorer("score", path, "-s", "pii", *roles)[0] == 0
    said = answered(explorer("select", path, "--where", "pii_n_email = 1", "--json", *roles))
    assert said["kept_documents"] == 1
    assert said["sources"][0]["source"] == "k"
    code, _, err = explorer("info", path, "--text", "nope")
    assert (code, err) == (
        2,
        "Error: Column 'nope' is not in the corpus. Columns: 'text', 'other', 'kind'. Give the role 'text' one of them.\n",
    )


def test_signals_lists_and_describes(explorer: Said) -> None:
    families = answered(explorer("signals", "--json"))
    assert {"pii", "language"} <= {f["family"] for f in families}
    [pii] = answered(explorer("signals", "pii_n_ip", "--json"))
    assert pii["family"] == "pii"
    assert set(pii["signals"][0]) == {"name", "unit", "range", "direction", "dtype", "about", "misleads", "source"}
    code, out, _ = explorer("signals", "pii")
    assert code == 0
    assert "parameter strict_reference = False" in out
    code, out, err = explorer("signals", "pi")
    assert (code, out) == (2, "")
    assert err.startswith("Error: No signal or family is called 'pi'. Did you mean 'pii'")


def test_score_takes_families_signals_and_parameters(explorer: Said, tiny_files: Path) -> None:
    said = answered(
        explorer(
            "score", tiny_files, "-s", "pii_n_email, language", "-p", "language.max_chars=20", "-p", "pii.strict_reference=true", "--json"
        )
    )
    assert said["families"] == ["pii", "language"]
    assert (said["documents"], said["computed"], said["reused"]) == (60, 60, 0)
    code, out, err = explorer(
        "score", tiny_files, "-s", "pii_n_email,language", "-p", "language.max_chars=20", "-p", "pii.strict_reference=true"
    )
    assert code == 0
    assert out.startswith("pii, language: 0 documents computed, 60 of 60 were there already")
    assert err.splitlines()[-1].endswith("(done)")
    for wrong, said_so in (("language", "It is FAMILY.KEY=VALUE"), ("language.x=1", "has no parameter 'x'"), ("pii.a=[", "cannot be read")):
        code, out, err = explorer("score", tiny_files, "-s", "language,pii", "-p", wrong)
        assert (code, out) == (2, "")
        assert said_so in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("score",), "Missing argument 'PATH...'"),
        (("nonsense",), "No such command 'nonsense'"),
        (("info", "nowhere.parquet"), "'nowhere.parquet' does not exist"),
        (("score", "nowhere.parquet", "-s", "pii"), "'nowhere.parquet' does not exist"),
        (("select", "nowhere.parquet"), "No filter was given"),
        (("verify", "nowhere"), "neither a manifest nor an export"),
        (("export", "nowhere", "--to", "parquet", "--out", "out"), "nowhere"),
        (("mix", "nowhere.yaml", "--out", "out"), "nowhere.yaml"),
        (("recipes", "nope"), "No recipe is called 'nope'"),
        (("jobs", "cancel", "nope"), "No job is called 'nope'"),
        (("app", "nowhere.parquet"), "'nowhere.parquet' does not exist"),
        (("import", "nowhere.jsonl", "--out", "out"), "names no JSON Lines file"),
        (("score", "x", "-s", "a", "--workers", "0"), "0 is not in the range"),
    ],
)
def test_bad_usage_and_input_end_with_2_and_one_line(
    explorer: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = explorer(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert err.startswith("Error: ")


def test_select_counts_by_source_and_reason(explorer: Said, tiny_files: Path, tmp_path: Path) -> None:
    Filters((Threshold("stars", minimum=2), Threshold("pii_n_email", maximum=0))).save(tmp_path / "f.yaml")
    code, out, err = explorer("select", tiny_files, "--filters", tmp_path / "f.yaml")
    assert (code, out) == (2, "")
    assert f"explorer score {tiny_files} -s pii " in err
    [line] = [line for line in err.splitlines() if "explorer score" in line]
    named = shlex.split(line.split("Compute them: explorer ")[1].split("   (")[0])
    assert explorer(*named)[0] == 0  # the command that the message names works as it stands
    said = answered(explorer("select", tiny_files, "--filters", tmp_path / "f.yaml", "--json"))
    stars = [i % 5 if i % 7 else None for i in range(60)]
    kept = sum(s is not None and s >= 2 for s in stars)
    assert (said["documents"], said["kept_documents"], said["tokens_estimated"]) == (60, kept, True)
    assert sum(s["kept_documents"] for s in said["sources"]) == kept
    assert [(r["reason"], r["first_documents"], r["null_documents"]) for r in said["reasons"]] == [
        ("stars", 60 - kept, 9),
        ("pii_n_email", 0, 0),
    ]
    code, out, _ = explorer("select", tiny_files, "--filters", tmp_path / "f.yaml", "--where", "source = 'web'")
    assert code == 0
    assert any(line.startswith("books\t30\t0\t") for line in out.splitlines())


def test_select_can_score_first_and_says_no_with_1(explorer: Said, tiny_files: Path) -> None:
    code, out, err = explorer("select", tiny_files, "--where", "pii_n_email > 0", "--score")
    assert code == 1
    assert err.splitlines()[-1] == "Nothing matched."
    assert "0 of 60 documents match" in err
    assert out.startswith("0 of 60 documents kept")


def test_a_signals_name_inside_a_text_literal_is_no_need(explorer: Said, tiny_files: Path) -> None:
    said = answered(explorer("select", tiny_files, "--where", "text NOT LIKE '%language%' /* pii_n_email */", "--json"))
    assert said["kept_documents"] == 60


def test_select_mix_verify_and_export_hang_together(explorer: Said, tiny_files: Path, tmp_path: Path) -> None:
    for _ in range(2):  # the second time it replaces its own result
        code, _, err = explorer("select", tiny_files, "--where", "source = 'web'", "--out", tmp_path / "kept")
        assert code == 0, err
    assert json.loads((tmp_path / "kept" / "manifest.json").read_text())["sources"][0]["where"] == "source = 'web'"
    (tmp_path / "mix.yaml").write_text(
        f"name: run-a\nsources:\n  web: {{corpus: '{tiny_files}/0-web.parquet', epochs: 2}}\n  books: {{corpus: '{tiny_files}/1-books.parquet', documents: 5}}\n"
    )
    manifest = answered(explorer("mix", tmp_path / "mix.yaml", "--out", tmp_path / "mix", "--json"))
    assert manifest["totals"]["documents"] == 65
    code, out, _ = explorer("mix", tmp_path / "mix.yaml", "--out", tmp_path / "mix")
    assert code == 0
    assert out.splitlines()[1].split("\t")[1:3] == ["web", "60"]
    code, out, err = explorer("export", tmp_path / "mix", "--to", "parquet", "--out", tmp_path / "trainer")
    assert code == 0, err
    for folder in ("kept", "mix", "trainer"):
        code, out, err = explorer("verify", tmp_path / folder)
        assert code == 0, (folder, out, err)
    assert answered(explorer("verify", tmp_path / "mix", "--json"))["ok"]
    path = tiny_files / "0-web.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"2")
    code, out, err = explorer("verify", tmp_path / "mix", "--json")
    assert code == 1
    assert json.loads(out)["ok"] is False
    assert "checks failed" in err
    code, _, err = explorer("export", tmp_path / "mix", "--to", "nobody", "--out", tmp_path / "x")
    assert code == 2
    assert "There is no exporter 'nobody'. Exporters: " in err


def test_recipes_are_listed_and_printed_as_filters_files(explorer: Said, tmp_path: Path) -> None:
    listed = answered(explorer("recipes", "--json"))
    assert "gopher" in listed
    code, out, _ = explorer("recipes", "gopher")
    assert code == 0
    assert Filters.from_yaml(out).to_dict() == listed["gopher"]


def test_sample_writes_a_corpus_that_opens(explorer: Said, tmp_path: Path) -> None:
    code, out, err = explorer("sample", tmp_path / "sample")
    assert (code, out) == (0, ""), err
    assert answered(explorer("info", tmp_path / "sample" / "corpus", "--json"))["documents"] > 100


def test_import_names_the_lines_it_leaves_out(explorer: Said, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\nnot json\n{"text": "y"}\n')
    code, out, err = explorer("import", tmp_path / "a.jsonl", "--out", tmp_path / "out")
    assert code == 0
    assert f"left out: {tmp_path}/a.jsonl:2: Expecting value" in err
    assert out.splitlines() == ["file", str(tmp_path / "out" / "a.parquet")]
    assert len(open_corpus(tmp_path / "out")) == 2
    (tmp_path / "b.jsonl").write_text("nothing\n")
    assert explorer("import", tmp_path / "b.jsonl", "--out", tmp_path / "out")[0] == 1


def test_jobs_are_listed(explorer: Said, tiny_files: Path, tmp_path: Path) -> None:
    from explorer import jobs

    assert answered(explorer("jobs", "--json")) == []
    job = jobs.start(tmp_path / "workspace", ["score", str(tiny_files), "-s", "pii"], "score pii")
    job.wait(60)
    [said] = answered(explorer("jobs", "list", "--json"))
    assert (said["id"], said["state"], said["done"], said["command"][0]) == (job.id, "done", 60, "score")
    code, out, _ = explorer("jobs", "--workspace", tmp_path / "workspace")
    assert code == 0
    assert out.splitlines()[1].split("\t")[:4] == [job.id, "done", "60", "60"]
    code, _, err = explorer("jobs", "cancel", job.id[:15])
    assert (code, err) == (1, f"Job {job.id} is not running: it is done.\n")


def test_hostile_values_are_printed_as_visible_characters(explorer: Said, write_parquet: Callable[..., Path]) -> None:
    attack = "\x1b]0;owned\x07\u202e[red]\u200b\nline"
    path = write_parquet("a.parquet", {"text": ["x"], "source": [attack]})
    code, out, err = explorer("info", path)
    assert code == 0
    assert "\\x1b]0;owned\\x07\\u202e[red]\\u200b\\nline\t1" in out
    assert not any(c in out + err for c in ("\x1b", "\u202e", "\x07"))
    assert answered(explorer("info", path, "--json"))["sources"][0]["source"] == attack
    assert plain("日本語 ünï 👩") == "日本語 ünï 👩"


def test_tables_on_a_terminal_do_not_read_markup_in_the_data(tiny_files: Path, write_parquet: Callable[..., Path]) -> None:
    import pty

    path = write_parquet("m.parquet", {"text": ["x"], "source": ["[bold]not markup[/bold]"]})
    master, terminal = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "explorer", "info", str(path)], stdout=terminal, stderr=subprocess.PIPE, env=os.environ | {"COLUMNS": "120"}
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            shown += os.read(master, 65536)
        except OSError:
            break
        if not shown:
            break
    os.close(master)
    assert done.wait(60) == 0
    done.stderr.close()  # type: ignore[union-attr]
    assert "[bold]not markup[/bold]" in shown.decode()
    assert "┃" in shown.decode()


def test_a_reader_that_leaves_is_no_error(tiny_files: Path) -> None:
    line = f"set -o pipefail; {sys.executable} -m explorer signals | head -n 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("signal\tfamily")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_help_is_there_for_every_command(explorer: Said) -> None:
    from explorer.cli import cli

    for name in cli.commands:
        code, out, _ = explorer(name, "--help")
        assert code == 0
        assert out.startswith("Usage: explorer " + name)
        assert "--job" not in out


def test_the_app_is_started_on_this_machine_alone_with_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXPLORER_WORKSPACE", raising=False)
    line = command_line(("data", "x/**/*.parquet", "s3://bucket/a.parquet"), None, 8600, {"text": "body", "id": ""})
    assert line[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert line[4] == str(app_file())
    assert {"--server.address=127.0.0.1", "--server.headless=true", "--browser.gatherUsageStats=false", "--server.port=8600"} <= set(line)
    after = line[line.index("--") + 1 :]
    assert after == [
        f"{tmp_path}/data",
        f"{tmp_path}/x/**/*.parquet",
        "s3://bucket/a.parquet",
        "--workspace",
        f"{tmp_path}/.explorer",
        "--text=body",
        "--id=",
    ]
    from explorer.ui.arguments import read

    place = read(after, app_file()).documents
    assert place is not None
    assert place.paths == (f"{tmp_path}/data", f"{tmp_path}/x/**/*.parquet", "s3://bucket/a.parquet")
    assert dict(place.roles) == {"text": "body", "id": ""}


def test_app_becomes_the_server(explorer: Said, tiny_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, line: started.append(line))
    assert explorer("app", tiny_files, "--port", 8601)[0] == 0
    assert started[0][-4:-2] == ["--", str(tiny_files)] or str(tiny_files) in started[0]
    assert not any(a.startswith("--server.port") for a in command_line((), None, None, {}))


def test_undefined_numbers_are_null_in_json(explorer: Said, write_parquet: Callable[..., Path]) -> None:
    path = write_parquet("n.parquet", {"text": [""], "v": pa.array([float("nan")])})
    code, out, _ = explorer("select", path, "--where", "true", "--json")
    assert code == 0
    assert "NaN" not in out
    assert json.loads(out)["sources"][0]["kept_token_share"] is None


def test_the_larger_sample_counts_what_it_wrote(explorer: Said, tmp_path: Path) -> None:
    code, out, _ = explorer("sample", str(tmp_path / "python"), "--from-python", "--max-bytes", "300000")
    assert code == 0
    counts = dict(line.split("\t")[:2] for line in out.splitlines() if line.count("\t") == 2)
    assert "stdlib" in counts
    corpus = open_corpus(tmp_path / "python", workspace=tmp_path / "w")
    assert len(corpus) == sum(int(n.replace(",", "")) for n in counts.values() if n.replace(",", "").isdigit())
