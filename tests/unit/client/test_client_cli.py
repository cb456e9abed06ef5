from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from epaas_client import Label
from epaas_client.cli import main
from epaas_client.cli.context import State
from epaas_client.cli.output import Row, write_predictions
from epaas_client.keystore import Keystore
from epaas_shared.schema import InputSchema
from epaas_shared.scores import ScoreScale

from .conftest import PASSPHRASE
from .fake_server import FakeService

CSV = "radius,texture,diagnosis\n12,3,malignant\n13,4,malignant\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], filled: Keystore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process; its exit code and what it wrote on the two outputs."""
    # The real keys, but a job log of this test's own.
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / filled.find().path.name).symlink_to(filled.find().path)
    monkeypatch.setenv("EPAAS_KEYSTORE", str(tmp_path / "keys"))

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return code, written.out, written.err

    return call


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records.csv"
    path.write_text(CSV)
    return path


def epaas(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, without a terminal."""
    command = [sys.executable, "-c", "import sys; from epaas_client.cli import main; sys.exit(main())", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        start_new_session=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        "",
        "predict",
        "submit",
        "result",
        *(f"keys {verb}" for verb in ("generate", "list", "upload", "delete")),
        *(f"models {verb}" for verb in ("list", "show", "report")),
        *(f"jobs {verb}" for verb in ("list", "show", "watch", "cancel", "delete")),
    ],
)
def test_help_of_every_command_has_an_example(run: Run, command: str) -> None:
    code, out, _ = run(*command.split(), "--help")
    assert code == 0
    assert f"Usage: epaas {command}".strip() in out
    assert f"Example: epaas {command}" in out or not command


def test_help_loads_nothing_heavy() -> None:
    program = """
import sys
from epaas_client.cli import main
code = main(["--help"])
heavy = {"PIL", "numpy", "httpx", "concrete", "cryptography", "torch", "fastapi", "sqlalchemy"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: epaas" in done.stdout


def test_version(run: Run) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("epaas ")


def test_predict_as_csv(run: Run, url: str, records: Path, passphrase_file: Path) -> None:
    code, out, err = run("-s", url, "predict", records, "-m", "toy", "--passphrase-file", passphrase_file)
    assert code == 0, err
    assert out == "record,label,truth,correct\n1,malignant,malignant,yes\n2,benign,malignant,no\n"
    assert "epaas: 1 of 2 agree with the column 'diagnosis'\n" in err
    assert all(line.startswith("epaas: ") for line in err.splitlines())


def test_predict_as_json(
    run: Run, url: str, service: FakeService, records: Path, passphrase_file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.json"
    arguments = ("predict", records, "-m", "toy", "--passphrase-file", passphrase_file)
    code, out, err = run(*arguments, "-o", target, "--server", url, "--json")
    assert (code, out, err) == (0, "", "")
    document = json.loads(target.read_text())
    assert document["predictions"] == [
        {
            "record": 1,
            "label": "malignant",
            "index": 0,
            "confidence": None,
            "probabilities": None,
            "scores": None,
            "prediction_id": "job-1",
            "truth": "malignant",
            "correct": True,
        },
        {
            "record": 2,
            "label": "benign",
            "index": 1,
            "confidence": None,
            "probabilities": None,
            "scores": None,
            "prediction_id": "job-1",
            "truth": "malignant",
            "correct": False,
        },
    ]
    assert set(document["seconds"]) == {"encrypt", "submit", "evaluate", "fetch", "decrypt"}
    assert document["seconds"]["evaluate"] == 2.0
    assert (document["bootstraps"], document["threads"]) == (40, 2)
    sent = next(request for request in service.requests if request.path == "/v1/predictions")
    assert document["bytes"]["record"] == len(sent.body) - 24 * service.schema.bits


def test_scores_are_written_by_class(
    run: Run, url: str, service: FakeService, records: Path, passphrase_file: Path
) -> None:
    service.scale, service.levels = ScoreScale(bits=2, minimum=-20, step=15), [[3, 0], [1, 2]]
    arguments = ("predict", records, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    code, out, err = run(*arguments)
    assert code == 0, err
    assert out == (
        "record,label,score malignant,score benign,truth,correct\n"
        "1,malignant,25,-20,malignant,yes\n2,benign,-5,10,malignant,no\n"
    )
    service.levels *= 2
    predictions = json.loads(run(*arguments, "--json")[1])["predictions"]
    assert [row["scores"] for row in predictions] == [
        {"malignant": 25, "benign": -20},
        {"malignant": -5, "benign": 10},
    ]
    # A process that does not know the job asks the server for its classes.
    (next(Path(os.environ["EPAAS_KEYSTORE"]).glob("jobs.jsonl"))).unlink()
    code, out, err = run("result", "job-1", "--passphrase-file", passphrase_file, "-s", url)
    assert code == 0, err
    assert out == "record,label,score malignant,score benign\n1,malignant,25,-20\n2,benign,-5,10\n"
    assert "output          scores of 4 levels, not calibrated\n" in run("models", "show", "toy", "-s", url)[1]


def test_calibrated_scores_are_written_as_probabilities(
    run: Run, url: str, service: FakeService, records: Path, passphrase_file: Path
) -> None:
    service.scale = ScoreScale(bits=2, minimum=-20, step=15, temperature=30.0)
    service.levels, service.polls_before_end = [[3, 0], [1, 2]], 0
    arguments = ("predict", records, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    code, out, err = run(*arguments)
    assert code == 0, err
    # 1 / (1 + exp(-45 / 30)) and 1 / (1 + exp(-15 / 30))
    assert out == (
        "record,label,confidence,probability malignant,probability benign,truth,correct\n"
        "1,malignant,0.8176,0.8176,0.1824,malignant,yes\n2,benign,0.6225,0.3775,0.6225,malignant,no\n"
    )
    assert "confidence" not in err  # in words it is said of a single record only
    code, out, _ = run("result", "job-1", "--passphrase-file", passphrase_file, "--json")
    first, second = json.loads(out)["predictions"]
    assert first["scores"] == {"malignant": 25, "benign": -20}
    assert first["confidence"] == first["probabilities"]["malignant"] == pytest.approx(1 / (1 + math.exp(-1.5)))
    assert sum(second["probabilities"].values()) == pytest.approx(1)
    assert "calibrated (temperature 30)\n" in run("models", "show", "toy", "-s", url)[1]


def test_predictions_of_several_models_share_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    classes = ("malignant", "benign")
    labels = [Label("benign", 1), Label("benign", 1, (-5, 10)), Label("malignant", 0, (25, -20), (0.8176, 0.1824))]
    rows = [Row(number, label, "job", classes) for number, label in enumerate(labels, start=1)]
    write_predictions(State(), rows, None, with_truth=False)
    assert capsys.readouterr().out.splitlines() == [
        "record,label,score malignant,score benign,confidence,probability malignant,probability benign",
        "1,benign,,,,,",
        "2,benign,-5,10,,,",
        "3,malignant,,,0.8176,0.8176,0.1824",
    ]


def test_a_scale_that_changed_after_the_record_was_sent_is_refused(
    run: Run, url: str, service: FakeService, records: Path, passphrase_file: Path
) -> None:
    service.scale = ScoreScale(bits=2, minimum=-20, step=15, temperature=30.0)
    service.levels, service.polls_before_end = [[3, 0], [1, 2]], 0
    assert run("submit", records, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)[0] == 0
    service.scale = service.scale.model_copy(update={"temperature": 0.01})
    code, out, err = run("result", "job-1", "--passphrase-file", passphrase_file)
    assert (code, out) == (6, "")
    assert "epaas: error: scores: the result of the prediction job-1 has scores on the scale" in err


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (Label("7", 0), "7; label only: this model gives no confidence"),
        (Label("7", 0, (25, -20)), "7, without a confidence: the scores of this model are not calibrated"),
        (Label("7", 0, (25, -20), (0.98, 0.02)), "7, with confidence 0.98"),
        (Label("1", 1, (-20, 25), (0.004, 0.996)), "1, with confidence above 0.99"),
    ],
)
def test_a_prediction_in_words(label: Label, words: str) -> None:
    assert Row(1, label, "job", ("7", "1")).in_words == words


@pytest.fixture
def digit(service: FakeService, digits: InputSchema, tmp_path: Path) -> Path:
    """A one, written dark on white, for a service of digits."""
    service.schema = digits
    picture = Image.new("L", (100, 100), 255)
    picture.paste(0, (45, 20, 55, 80))
    service.polls_before_end = 0
    path = tmp_path / "digit.png"
    picture.save(path)
    return path


def test_a_picture_is_shown_and_answered_in_words(
    run: Run, url: str, service: FakeService, digit: Path, passphrase_file: Path
) -> None:
    code, out, err = run("predict", digit, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    assert (code, out) == (0, "record,label\n1,one\n"), err
    notes = err.splitlines()
    assert notes[0] == "epaas: the picture as the model gets it, 28 x 28:"
    assert [line.removeprefix("epaas: ").strip() for line in notes[1:15]] == ["", "", *["███"] * 10, "", ""]
    assert notes[-2] == "epaas: one; label only: this model gives no confidence"
    quiet = ("submit", digit, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url, "--quiet")
    assert run(*quiet)[1:] == ("job-2\n", "")


def test_a_folder_of_pictures(run: Run, url: str, service: FakeService, digit: Path, passphrase_file: Path) -> None:
    folder = digit.parent / "digits"
    folder.mkdir()
    for name in ("b.png", "a.png"):
        (folder / name).write_bytes(digit.read_bytes())
    code, out, err = run("predict", folder, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    assert (code, out) == (0, "record,label\n1,one\n2,seven\n"), err
    assert "the picture as" not in err


def test_a_table_for_a_model_of_pictures_is_refused(
    run: Run, url: str, service: FakeService, digit: Path, records: Path, passphrase_file: Path
) -> None:
    code, out, err = run("predict", records, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    assert (code, out) == (2, "")
    assert f"epaas: error: {records}: a record of digits/v1 has a picture, and a table has none\nepaas: hint: " in err
    assert {request.method for request in service.requests} == {"GET"}


def test_submit_then_result_in_another_process(
    run: Run, url: str, service: FakeService, records: Path, passphrase_file: Path, tmp_path: Path
) -> None:
    service.polls_before_end = 2
    code, out, _ = run("submit", records, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    assert (code, out) == (0, "job-1\n")
    environment = {"EPAAS_KEYSTORE": str(tmp_path / "keys"), "EPAAS_URL": ""}
    early = epaas("result", "job-1", "--passphrase-file", str(passphrase_file), **environment)
    assert early.returncode == 5
    assert "epaas: hint: wait for it with `epaas jobs watch job-1`" in early.stderr
    late = epaas("result", "job-1", "--passphrase-file", str(passphrase_file), **environment)
    assert (late.returncode, late.stdout) == (0, "record,label\n1,malignant\n2,benign\n"), late.stderr


def test_record_numbers_go_on_across_jobs(run: Run, url: str, tmp_path: Path, passphrase_file: Path) -> None:
    many = tmp_path / "many.csv"
    many.write_text("radius,texture\n" + "1,1\n" * 18)
    code, out, _ = run("submit", many, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url, "--json")
    assert code == 0
    assert [(job["id"], job["first_record"]) for job in json.loads(out)["jobs"]] == [("job-1", 1), ("job-2", 17)]
    assert run("jobs", "watch", "job-2")[0] == 0
    code, out, _ = run("result", "job-2", "--passphrase-file", passphrase_file)
    assert out == "record,label\n17,malignant\n18,benign\n"


def test_jobs(run: Run, url: str, records: Path, passphrase_file: Path) -> None:
    assert run("jobs", "list")[2] == "epaas: no predictions yet; `epaas predict` asks for some\n"
    run("submit", records, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    code, out, _ = run("jobs", "list", "--json")
    (job,) = json.loads(out)["jobs"]
    assert (job["id"], job["state"], job["model"], job["source"]) == ("job-1", "queued", "toy", str(records))
    code, out, _ = run("jobs", "show", "job-1", "--json")
    assert json.loads(out)["job"]["records"] == 2
    assert run("jobs", "cancel", "job-1")[0] == 0
    code, _, err = run("result", "job-1", "--passphrase-file", passphrase_file)
    assert code == 6
    assert "was cancelled" in err
    assert run("jobs", "delete", "job-1")[0] == 0
    assert json.loads(run("jobs", "list", "--json")[1]) == {"jobs": []}
    assert run("jobs", "show", "job-1", "-s", url)[0] == 5


def test_log_holds_no_values(run: Run, url: str, tmp_path: Path, passphrase_file: Path) -> None:
    secret = tmp_path / "records.csv"
    secret.write_text("radius,texture,diagnosis\n12.34567,3.98765,malignant\n")
    run("submit", secret, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    log = (tmp_path / "keys" / "jobs.jsonl").read_text()
    assert "job-1" in log
    assert not any(value in log for value in ("12.34", "3.98", "malignant"))


def test_failed_prediction(run: Run, url: str, service: FakeService, records: Path, passphrase_file: Path) -> None:
    service.final_state = "failed"
    code, out, err = run("predict", records, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    assert (code, out) == (6, "")
    assert "epaas: error: the prediction job-1 failed: the machine caught fire\n" in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("radius\n1\n", "texture: the column is missing"),
        ("radius,texture\n1,2\n1,200\n", "texture: 200 is outside the plausible range 0 to 9.5 (record 2)"),
        ("radius,texture,diagnosis\n1,2,bening\n", "diagnosis: 'bening' is not one of malignant, benign (record 1)"),
        ("radius,texture\n1\n", "texture: record 1 (line 2) ends after 1 of 2 columns"),
    ],
)
def test_bad_record_exits_2_and_nothing_is_sent(
    run: Run, url: str, service: FakeService, records: Path, passphrase_file: Path, content: str, message: str
) -> None:
    records.write_text(content)
    code, out, err = run("predict", records, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    assert (code, out) == (2, "")
    assert f"epaas: error: {message}\nepaas: hint: " in err
    assert {request.method for request in service.requests} == {"GET"}


def test_error_as_json(run: Run, url: str, records: Path) -> None:
    code, out, err = run("predict", records, "-m", "none", "-s", url, "--json")
    assert (code, out) == (5, "")
    assert json.loads(err)["code"] == "model-not-found"


def test_wrong_passphrase_exits_4(run: Run, url: str, service: FakeService, records: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not the passphrase\n")
    code, _, err = run("predict", records, "-m", "toy", "--passphrase-file", wrong, "-s", url)
    assert code == 4
    assert "epaas: error: the passphrase does not open the keys 'default'" in err
    assert {request.method for request in service.requests} == {"GET"}


def test_server_down_exits_7(run: Run) -> None:
    code, out, err = run("models", "list", "-s", "http://127.0.0.1:9")
    assert (code, out) == (7, "")
    assert "epaas: error: no answer from http://127.0.0.1:9" in err


def test_bad_address_exits_3(run: Run) -> None:
    assert run("models", "list", "-s", "localhost")[0] == 3


def test_no_keys_exits_5_with_the_command_that_makes_some(url: str, records: Path, tmp_path: Path) -> None:
    done = epaas("predict", str(records), "-m", "toy", "-s", url, EPAAS_KEYSTORE=str(tmp_path / "none"))
    assert done.returncode == 5
    assert "`epaas keys generate` makes new ones" in done.stderr


def test_no_terminal_for_the_passphrase_exits_3(url: str, records: Path, filled: Keystore) -> None:
    done = epaas("predict", str(records), "-m", "toy", "-s", url, EPAAS_KEYSTORE=str(filled.root))
    assert done.returncode == 3
    assert "--passphrase-file" in done.stderr


def test_unwritable_output_is_found_before_anything_is_sent(
    run: Run, url: str, service: FakeService, records: Path, tmp_path: Path
) -> None:
    code, _, _ = run("predict", records, "-m", "toy", "-s", url, "-o", tmp_path / "none" / "out.csv")
    assert code == 3
    assert service.requests == []


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["predict"], ["keys"], ["models", "show", "a", "--version", "0"]]
)
def test_usage_errors_exit_2(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("epaas: error: ")
    assert "--help` shows how" in err


def test_unexpected_error_has_no_traceback_without_debug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(Keystore, "list", broken)
    code, _, err = run("keys", "list")
    assert code == 1
    assert err.splitlines() == [
        "epaas: error: unexpected ZeroDivisionError: oops",
        "epaas: hint: run it again with --debug to see where",
    ]
    assert "Traceback" in run("keys", "list", "--debug")[2]


def test_interrupted_wait_leaves_the_job_running(
    run: Run, url: str, service: FakeService, records: Path, passphrase_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("epaas_client.job.Job.wait", interrupted)
    code, out, err = run("predict", records, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
    assert (code, out) == (130, "")
    assert err.endswith("epaas: still running; see it with `epaas jobs watch job-1`\n")
    assert service.predictions["job-1"]["state"] == "queued"


def test_interrupted_elsewhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Keystore, "list", interrupted)
    assert run("keys", "list") == (130, "", "epaas: interrupted\n")


def test_models_show_what_a_record_looks_like(run: Run, url: str) -> None:
    code, out, _ = run("models", "show", "toy", "-s", url)
    assert code == 0
    assert "radius   0 to 60   mm" in out
    assert "\x1b" not in out
    assert json.loads(run("models", "show", "toy", "-s", url, "--json")[1])["schema"]["target"] == "diagnosis"
    assert run("models", "list", "-s", url)[1].splitlines()[1].startswith("toy   3")


def test_keys_upload_list_and_delete(run: Run, url: str, service: FakeService, filled: Keystore) -> None:
    digest = filled.find().evaluation_keys
    assert run("keys", "upload", "--wait", "-s", url)[1] == f"{digest} ready\n"
    assert json.loads(run("keys", "upload", "-s", url, "--json")[1])["uploaded"] is False
    assert json.loads(run("keys", "list", "--json")[1])["keys"][0]["evaluation_keys"] == digest
    code, _, err = run("keys", "delete", "--remote", "-s", url)
    assert code == 3
    assert "--yes" in err
    assert list(service.uploaded) == [digest]
    assert run("keys", "delete", "--remote", "--yes", "-s", url)[0] == 0
    assert service.uploaded == {}
    assert (filled.find().path / "secret.json").exists()


def test_generate_upload_and_delete_of_a_new_user(tmp_path: Path, run: Run, passphrase_file: Path) -> None:
    root = tmp_path / "new"
    code, out, err = run("--keystore", root, "keys", "generate", "--passphrase-file", passphrase_file, "--json")
    assert (code, err) == (0, "")
    keys = json.loads(out)["keys"]
    assert Keystore(root).open(Keystore(root).find(), PASSPHRASE).evaluation_keys == keys["evaluation_keys"]
    code, _, err = run("--keystore", root, "keys", "generate", "--passphrase-file", passphrase_file)
    assert code == 5
    assert "already keys named 'default'" in err
    assert run("--keystore", root, "keys", "delete", "--local", "--yes")[0] == 0
    assert list(Keystore(root).list()) == []


def test_short_passphrase_exits_2_before_any_key_is_made(run: Run, tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_text("short\n")
    code, _, err = run("--keystore", tmp_path / "new", "keys", "generate", "--passphrase-file", short)
    assert code == 2
    assert "passphrase: has 5 characters" in err
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_passphrase_is_typed_unseen_on_the_terminal(url: str, records: Path, filled: Keystore, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / filled.find().path.name).symlink_to(filled.find().path)
    program = "import sys; from epaas_client.cli import main; sys.exit(main())"
    arguments = ["submit", str(records), "-m", "toy", "-s", url, "--keystore", str(tmp_path / "keys")]
    output = tmp_path / "stdout"
    child, terminal = pty.fork()
    if child == 0:
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), 1)
        os.execv(sys.executable, [sys.executable, "-c", program, *arguments])
    seen = b""
    while b"passphrase of the keys" not in seen:
        seen += os.read(terminal, 1024)
    os.write(terminal, PASSPHRASE.encode() + b"\n")
    try:
        while chunk := os.read(terminal, 1024):
            seen += chunk
    except OSError:
        pass  # Linux says so when the child has closed the terminal
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, seen
    assert PASSPHRASE.encode() not in seen
    assert output.read_text() == "job-1\n"
