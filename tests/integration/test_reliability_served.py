"""From training to a served report with encrypted agreement, each step a command that somebody types."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from epaas_shared.report import read_report
from tests.conftest import Server
from tests.integration.test_cli import User

RECORDS = 6


def test_the_report_is_served_with_what_a_client_decrypted(server: Server, tmp_path: Path) -> None:
    user, bundle, records = User(tmp_path, server.url), str(tmp_path / "bundle"), str(tmp_path / "records.jsonl")
    secret = ["--passphrase-file", str(user.passphrase)]

    def train(*arguments: str) -> str:
        run = user.run(*arguments, program="epaas-train")
        assert run.returncode == 0, run.stderr
        return run.stdout

    train("fit", "breast-cancer", "--quick", "--output", bundle)
    assert server.publish(Path(bundle)).returncode == 0
    user.json("keys", "generate", *secret)
    user.json("keys", "upload", "--wait")
    train("sample", bundle, "--records", str(RECORDS), "--output", records)
    predictions = user.json("predict", records, "--model", "breast-cancer", *secret)
    (tmp_path / "predictions.json").write_text(json.dumps(predictions))
    train("report", bundle, "--encrypted", str(tmp_path / "predictions.json"))

    published = server.publish(Path(bundle))
    assert published.returncode == 0, published.stderr
    version = json.loads(published.stdout)["version"]
    address = f"{server.url}/v1/models/breast-cancer/versions/{version}/report"
    served = httpx.get(address)
    report = read_report(served.content)
    assert served.content == (tmp_path / "bundle" / "report.json").read_bytes()
    encrypted = report.agreement.encrypted
    assert encrypted is not None
    assert (encrypted.rows, encrypted.agree, encrypted.bootstraps) == (RECORDS, RECORDS, 5)
    assert encrypted.right == sum(row["correct"] for row in predictions["predictions"])
    assert report.agreement.torch is not None
    assert report.agreement.torch.agree == report.agreement.torch.rows == 171

    page = httpx.get(address, headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert report.title in page.text
    terminal = user.run("models", "report", "breast-cancer")
    assert terminal.returncode == 0, terminal.stderr
    assert report.title in terminal.stdout
    listed = httpx.get(server.url, headers={"Accept": "text/html"})
    assert f"versions/{version}/report" in listed.text


def test_a_bundle_without_a_report_on_its_network_is_not_published(server: Server, tmp_path: Path) -> None:
    from epaas_models.export import read_bundle, replace_report
    from tests.conftest import TOY_NETWORK, TOY_SCHEMA, write_bundle

    folder = tmp_path / "bundle"
    write_bundle(folder, TOY_NETWORK, TOY_SCHEMA)
    bundle = read_bundle(folder)
    report = read_report(bundle.files["report.json"])
    replace_report(folder, bundle, report.model_copy(update={"weights": "1" * 64}))
    refused = server.publish(folder)
    assert refused.returncode == 2, refused.stderr
    assert "report.json.weights" in refused.stderr
    assert "epaas-train report" in refused.stderr
    assert "Traceback" not in refused.stderr
