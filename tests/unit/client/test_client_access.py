"""Tokens, certificates and limits at the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from epaas_client.cli import main
from epaas_client.keystore import Keystore
from epaas_shared.errors import Forbidden, QuotaExceeded, TooManyRequests, Unauthorised

from .certificate_making import make_authority
from .fake_server import Answer, FakeService, Request, problem, serving

TOKEN = f"epaas_0123456789abcdef_{'5e' * 32}"
OTHER = f"epaas_fedcba9876543210_{'e5' * 32}"
Run = Callable[..., tuple[int, str, str]]


@dataclass
class Guarded:
    """A service that asks for a token; ``refusals`` are answered first."""

    service: FakeService
    token: str = TOKEN
    refusals: list[Answer] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        sent = request.headers.get("authorization")
        self.tokens.append(sent and sent.removeprefix("Bearer "))
        if self.refusals:
            return self.refusals.pop(0)
        if sent is None:
            return problem(Unauthorised("there is no token in the request", field="Authorization"))
        if sent != f"Bearer {self.token}":
            return problem(Forbidden("the token allows 'publish'; this needs 'predict'", field="Authorization"))
        return self.service(request)


@pytest.fixture
def guarded(service: FakeService) -> Guarded:
    service.polls_before_end = 0
    return Guarded(service)


@pytest.fixture
def guarded_url(guarded: Guarded) -> Iterator[str]:
    with serving(guarded) as address:
        yield address


@pytest.fixture
def keystore(filled: Keystore, tmp_path: Path) -> Path:
    """The real keys, but a job log of this test's own."""
    root = tmp_path / "keys"
    root.mkdir(mode=0o700)
    (root / filled.find().path.name).symlink_to(filled.find().path)
    return root


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], keystore: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process; its exit code and what it wrote on the two outputs, never a token."""
    monkeypatch.setenv("EPAAS_KEYSTORE", str(keystore))

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        assert TOKEN not in written.out + written.err
        return code, written.out, written.err

    return call


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records.csv"
    path.write_text("radius,texture\n12,3\n")
    return path


@pytest.mark.parametrize("where", ["variable", "file", "variable of the file"])
def test_every_request_of_every_command_bears_the_token(
    run: Run,
    guarded: Guarded,
    guarded_url: str,
    token_file: Path,
    records: Path,
    passphrase_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    monkeypatch.setenv("EPAAS_URL", guarded_url)
    options: list[object] = []
    match where:
        case "variable":
            monkeypatch.setenv("EPAAS_TOKEN", TOKEN)
        case "file":
            options = ["--token-file", token_file]
            monkeypatch.setenv("EPAAS_TOKEN", OTHER)  # what is named for this run goes first
        case _:
            monkeypatch.setenv("EPAAS_TOKEN_FILE", str(token_file))
    secret = ("--passphrase-file", passphrase_file)
    for command in (
        ("models", "list"),
        ("models", "show", "toy"),
        ("models", "report", "toy", "--json"),
        ("keys", "upload", "--wait"),
        ("predict", records, "--model", "toy", *secret),
        ("submit", records, "--model", "toy", *secret),
        ("jobs", "list"),
        ("jobs", "show", "job-2"),
        ("jobs", "watch", "job-2"),
        ("result", "job-2", *secret),
        ("jobs", "cancel", "job-1"),
        ("jobs", "delete", "job-1"),
        ("keys", "delete", "--remote", "--yes"),
    ):
        before = len(guarded.tokens)
        code, _, err = run(*command, *options)
        assert code == 0, (command, err)
        assert len(guarded.tokens) > before
    assert set(guarded.tokens) == {TOKEN}


def test_without_a_token(run: Run, guarded_url: str) -> None:
    code, out, err = run("models", "list", "-s", guarded_url)
    assert (code, out) == (4, "")
    assert err.startswith(
        "epaas: error: Authorization: there is no token in the request\nepaas: hint: give a token in "
    )
    assert "--token-file" in err


def test_a_token_that_is_not_for_this(run: Run, guarded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPAAS_TOKEN", OTHER)
    code, _, err = run("models", "list", "-s", guarded_url, "--json")
    assert code == 4
    assert json.loads(err)["code"] == "forbidden"
    assert OTHER not in err


def test_bad_tokens_exit_3_and_nothing_is_sent(
    run: Run, guarded: Guarded, guarded_url: str, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_file.chmod(0o644)
    code, _, err = run("models", "list", "-s", guarded_url, "--token-file", token_file)
    assert (code, err.splitlines()[1]) == (3, f"epaas: hint: run `chmod 600 {token_file}`")
    monkeypatch.setenv("EPAAS_TOKEN", f"{TOKEN}\n{TOKEN}")
    assert run("models", "list", "-s", guarded_url)[0] == 3
    assert run("models", "list", "-s", guarded_url, "--debug")[0] == 3
    monkeypatch.setenv("EPAAS_TOKEN", TOKEN)
    code, _, err = run("models", "list", "-s", "http://epaas.example.org")
    assert code == 3
    assert "without TLS" in err
    assert guarded.tokens == []


def test_a_token_over_http_where_that_is_wanted(
    run: Run, guarded: Guarded, guarded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy stands for a network that the user trusts."""
    monkeypatch.setenv("EPAAS_TOKEN", TOKEN)
    monkeypatch.setenv("http_proxy", guarded_url)
    assert run("models", "list", "-s", "http://epaas.example.org", "--token-over-http")[0] == 0
    monkeypatch.setenv("EPAAS_TOKEN_OVER_HTTP", "1")
    assert run("models", "list", "-s", "http://epaas.example.org")[0] == 0
    assert guarded.tokens == [TOKEN, TOKEN]


def test_there_is_no_option_for_the_token_itself(run: Run) -> None:
    """Every process of the machine may read the list of commands and their options."""
    code, _, err = run("--token", OTHER, "models", "list")
    assert code == 2
    assert "no such option" in err


def test_commands_that_ask_no_server_need_no_token(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EPAAS_TOKEN_FILE", str(tmp_path / "none"))
    assert run("keys", "list")[0] == 0


def test_the_token_goes_to_no_server_that_only_the_job_log_names(
    run: Run, service: FakeService, records: Path, passphrase_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_service = Guarded(service)
    open_service.service.polls_before_end = 0

    def everybody(request: Request) -> Answer:
        open_service.tokens.append(request.headers.get("authorization"))
        return service(request)

    with serving(everybody) as url:
        submitted = run("submit", records, "-m", "toy", "--passphrase-file", passphrase_file, "-s", url)
        assert submitted[0] == 0, submitted[2]
        monkeypatch.setenv("EPAAS_TOKEN", TOKEN)
        code, _, err = run("result", "job-1", "--passphrase-file", passphrase_file)
        assert code == 0
        assert f"epaas: the token is not sent to {url}, which --server or EPAAS_URL does not name\n" in err
        assert run("jobs", "list")[2].count("the token is not sent") == 1
        assert set(open_service.tokens) == {None}
        assert run("result", "job-1", "--passphrase-file", passphrase_file, "-s", url)[0] == 0
        assert open_service.tokens[-1] == f"Bearer {TOKEN}"


def test_why_it_waits_is_said(run: Run, guarded: Guarded, guarded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPAAS_TOKEN", TOKEN)
    refusal = problem(TooManyRequests("more than 3 per 1 minute of this caller", retry_after=1))
    guarded.refusals = [refusal]
    code, out, err = run("models", "list", "-s", guarded_url)
    assert (code, "toy" in out) == (0, True)
    assert err == "epaas: waiting 1.0 s, as the server asks: more than 3 per 1 minute of this caller\n"
    guarded.refusals = [refusal]
    assert run("models", "list", "-s", guarded_url, "--json")[2] == ""


def test_a_quota_is_an_error_with_what_to_do(
    run: Run, guarded: Guarded, guarded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPAAS_TOKEN", TOKEN)
    quota = QuotaExceeded("61.2 would be over the quota of 60", field="seconds_a_day", hint="wait", retry_after=4000)
    guarded.refusals = [problem(quota)]
    code, _, err = run("models", "list", "-s", guarded_url)
    assert code == 7
    assert err.splitlines() == [
        "epaas: error: seconds_a_day: 61.2 would be over the quota of 60",
        "epaas: hint: wait",
        "epaas: hint: try again in 1 h 6 min",
    ]
    guarded.refusals = [problem(quota)]
    document = json.loads(run("models", "list", "-s", guarded_url, "--json")[2])
    assert (document["code"], document["field"], document["retry_after"]) == ("quota-exceeded", "seconds_a_day", 4000)


def test_an_authority_of_ones_own(run: Run, guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPAAS_TOKEN", TOKEN)
    ca_file, tls = make_authority(tmp_path / "authority")
    with serving(guarded, tls) as url:
        code, _, err = run("models", "list", "-s", url)
        assert code == 3
        assert "EPAAS_CA_FILE or --ca-file" in err
        assert guarded.tokens == []
        assert run("models", "list", "-s", url, "--ca-file", ca_file)[0] == 0
        monkeypatch.setenv("EPAAS_CA_FILE", str(ca_file))
        assert run("models", "list", "-s", url)[0] == 0
    assert guarded.tokens == [TOKEN, TOKEN]


def test_the_token_is_in_no_list_of_processes(guarded: Guarded, token_file: Path) -> None:
    seen: list[bytes] = []
    started: list[subprocess.Popen[str]] = []

    def watching(request: Request) -> Answer:
        seen.append(Path(f"/proc/{started[0].pid}/cmdline").read_bytes())
        return guarded(request)

    program = "import sys; from epaas_client.cli import main; sys.exit(main())"
    with serving(watching) as url:
        command = [sys.executable, "-c", program, "models", "list", "-s", url, "--token-file", str(token_file)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        out, err = started[0].communicate()
    assert started[0].returncode == 0, err
    assert str(token_file).encode() in seen[0]
    assert TOKEN not in f"{seen} {out} {err}"
