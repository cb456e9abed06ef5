"""One real encrypted prediction, end to end: ``make demo``.

Trains the breast-cancer model, serves it, and has a test record predicted without the server being able to read it.
Every step is a command that a user would type. The client process that sends the record ends; another one fetches the
answer. The last line is one JSON object with what was measured. Everything happens in a temporary folder and on this
machine.
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from epaas_models.datasets import Dataset, DataSettings, Split, load, split
from epaas_models.fit import PUBLISHED_SPLIT
from epaas_server.bundles import read_bundle
from epaas_shared.profile import default_profile
from epaas_shared.schema import shipped_schemas

BIN = Path(sys.executable).parent
START_SECONDS = 60
SCHEMA = "breast-cancer/v1"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="epaas-demo-") as folder:
        result = run(Path(folder))
    print(json.dumps(result))
    sys.exit(0 if result["agrees_with_plain"] else 1)


def run(folder: Path) -> dict[str, Any]:
    say("1. The provider trains a binary neural network on 398 of 569 tumours, and measures it on the others.")
    bundle = folder / "bundle"
    trained = command("epaas-train", "fit", "breast-cancer", "--output", str(bundle), "--quick", "--json")
    low, high = trained["accuracy_interval_95"]
    say(
        f"   Test accuracy {trained['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}); always answering the more"
    )
    say(f"   frequent class would reach {trained['majority_baseline']:.3f}.")

    say("2. The provider publishes the model and starts the server.")
    environment = {"EPAAS_SERVER_DATA_DIR": str(folder / "server"), "EPAAS_KEYSTORE": str(folder / "client")}
    os.environ.update(environment)
    published = command("epaas-server", "publish", str(bundle), "--json")
    port = free_port()
    os.environ["EPAAS_URL"] = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([BIN / "epaas-server", "serve", "--port", str(port)], stderr=log)
    try:
        wait_until_listening(server, port, folder / "server.log")
        return {**client_side(folder, bundle), "model": f"{published['name']} version {published['version']}"}
    finally:
        server.terminate()
        server.wait(30)
        say("9. The server is stopped and everything of the demo removed.")


def client_side(folder: Path, bundle: Path) -> dict[str, Any]:
    """What the client does; it shares nothing with the server but the address."""
    dataset = load("breast-cancer", DataSettings())
    rows = split(dataset, PUBLISHED_SPLIT)
    record, truth = write_record(folder / "record.csv", dataset, rows)
    passphrase = folder / "passphrase"
    passphrase.write_text(secrets.token_urlsafe(16))

    say("3. The client makes its keys. The secret key stays on its machine, encrypted under a passphrase.")
    keys = epaas("keys", "generate", "--passphrase-file", str(passphrase))
    say(f"   {keys['seconds']:.1f} s; {keys['bytes'] / 1e6:.1f} MB of evaluation keys, with which nothing can be read.")

    say("4. The client uploads the evaluation keys, once for all its predictions; the server tries them.")
    begun = time.perf_counter()
    epaas("keys", "upload")
    upload_seconds = time.perf_counter() - begun
    epaas("keys", "upload", "--wait")

    say("5. The client encrypts a record of the test set and sends it.")
    submitted = epaas("submit", str(record), "--model", "breast-cancer", "--passphrase-file", str(passphrase))
    job = submitted["jobs"][0]["id"]
    say(f"   {submitted['bytes']['record']} bytes sent. The client process has ended; only the id {job} is left of it.")

    say("6. The server evaluates the network on ciphertexts, alone.")
    prediction = epaas("jobs", "watch", job)["prediction"]
    total = prediction["progress"]["total"]
    say(f"   {total} bootstraps in {prediction['evaluation_seconds']:.2f} s on {prediction['threads']} threads.")

    say("7. A new client process fetches the encrypted result and decrypts it.")
    fetched = epaas("result", job, "--passphrase-file", str(passphrase))
    label = fetched["predictions"][0]["label"]
    say(f"   It says {label}; the diagnosis was {truth}.")

    plain = plain_label(bundle, dataset, rows)
    agrees = label == plain
    say(f"8. The same network in the clear says {plain}: {'the two agree' if agrees else 'THE TWO DIFFER'}.")
    profile = default_profile()
    return {
        "task": SCHEMA,
        "label": label,
        "truth": truth,
        "agrees_with_plain": agrees,
        "seconds": {
            "keygen": keys["seconds"],
            "encrypt": submitted["seconds"]["encrypt"],
            "upload_keys": round(upload_seconds, 4),
            "submit": submitted["seconds"]["submit"],
            "evaluate": round(prediction["evaluation_seconds"], 4),
            "fetch": fetched["seconds"]["fetch"],
            "decrypt": fetched["seconds"]["decrypt"],
        },
        "bytes": {
            "evaluation_keys": keys["bytes"],
            "record": submitted["bytes"]["record"],
            "result": fetched["bytes"]["result"],
        },
        "bootstraps": total,
        "security_bits": profile.security_bits,
        "log2_p_error": profile.log2_p_error,
        "threads": prediction["threads"],
    }


def write_record(path: Path, dataset: Dataset, rows: Split) -> tuple[Path, str]:
    """The first test row as the client's file, and its true class."""
    row = int(rows.test[0])
    record = dataset.record(row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(record))
        writer.writeheader()
        writer.writerow(record)
    return path, dataset.classes[int(dataset.labels[row])]


def plain_label(bundle: Path, dataset: Dataset, rows: Split) -> str:
    """The label by the plain integer reference."""
    schema = shipped_schemas()[SCHEMA]
    bits = schema.encode([dataset.record(int(rows.test[0]))])
    return schema.classes[read_bundle(bundle).network.predict(bits)[0]]


def epaas(*arguments: str) -> dict[str, Any]:
    """Run the client command in a process of its own."""
    return command("epaas", "--json", "--quiet", *arguments)


def command(name: str, *arguments: str) -> dict[str, Any]:
    """Run a command that prints one JSON object; what it says on stderr goes to the terminal."""
    run = subprocess.run([BIN / name, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"demo: {name} {' '.join(arguments)} ended with exit code {run.returncode}")
    document: dict[str, Any] = json.loads(run.stdout)
    return document


def wait_until_listening(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"demo: the server does not start:\n{log.read_text()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
