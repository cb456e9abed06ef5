"""``epaas keys``: secret keys on this machine, evaluation keys on the server."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

import epaas_client
from epaas_client.cli.context import PassphraseOption, State, YesOption, read_new_passphrase
from epaas_shared.errors import EvaluationKeysNotFound
from epaas_shared.profile import default_profile, shipped_profiles
from epaas_shared.protocol import EvaluationKeys, KeysState
from epaas_shared.quantities import duration, size

app = typer.Typer(help="Secret keys on this machine, evaluation keys on the server.")

KeysArgument = Annotated[str | None, typer.Argument(help="Name of the keys, or the start of their digest.")]


@app.command(epilog="Example: epaas keys generate --name laptop")
def generate(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Name of the new keys: lower-case letters, digits, hyphens.")] = "default",
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make new secret keys, saved under a passphrase, and the evaluation keys that belong to them."""
    state = State.of(context)
    keystore = state.keystore()
    keystore.check_new(name)
    passphrase = read_new_passphrase(passphrase_file)
    profile = default_profile()
    state.console.note(f"generating keys under {profile.name}, which takes a few seconds")
    begun = time.monotonic()
    secret_keys, frame = epaas_client.generate_keys(profile)
    stored = keystore.create(name, passphrase, secret_keys, frame)
    seconds = time.monotonic() - begun
    if state.as_json:
        state.console.document({"keys": describe(stored), "bytes": len(frame), "seconds": round(seconds, 3)})
        return
    state.console.result(f"{stored.name} {stored.evaluation_keys}")
    state.console.note(f"made in {duration(seconds)}; {size(len(frame))} of evaluation keys for the server")
    state.console.note("without the passphrase nobody can read your predictions, nor can you")


@app.command("list", epilog="Example: epaas keys list")
def list_keys(context: typer.Context) -> None:
    """Show the keys on this machine."""
    state = State.of(context)
    keystore = state.keystore()
    stored = keystore.list()
    for error in keystore.damaged():
        state.console.note(f"warning: {error}")
    if state.as_json:
        state.console.document({"keys": [describe(keys) for keys in stored]})
    elif stored:
        rows = [(keys.name, keys.evaluation_keys[:16], _profile_name(keys.profile), keys.created) for keys in stored]
        state.console.table(("NAME", "DIGEST", "PROFILE", "CREATED"), rows)
    else:
        state.console.note(f"no keys in {keystore.root}; `epaas keys generate` makes some")


@app.command(epilog="Example: epaas keys upload default --wait")
def upload(
    context: typer.Context,
    keys: KeysArgument = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the server has tried them.")] = False,
) -> None:
    """Send the evaluation keys to the server, which needs them once. They do not let it read anything."""
    state = State.of(context)
    stored = state.keystore().find(keys)
    with state.client() as client:
        status, uploaded = ensure_uploaded(state, client, stored)
        if wait:
            status = wait_until_ready(state, client, stored)
    if state.as_json:
        state.console.document({"evaluation_keys": status.model_dump(mode="json"), "uploaded": uploaded})
    else:
        state.console.result(f"{status.digest} {status.state}")


@app.command(epilog="Example: epaas keys delete laptop --local --remote")
def delete(
    context: typer.Context,
    keys: KeysArgument = None,
    local: Annotated[bool, typer.Option("--local", help="Only the secret keys on this machine.")] = False,
    remote: Annotated[bool, typer.Option("--remote", help="Only the evaluation keys on the server.")] = False,
    yes: YesOption = False,
) -> None:
    """Delete keys, here and on the server. Predictions that were asked for with them can never be read again."""
    state = State.of(context)
    stored = state.keystore().find(keys)
    local, remote = local or not remote, remote or not local
    places = " and ".join(place for place, chosen in (("this machine", local), ("the server", remote)) if chosen)
    state.confirm(f"delete the keys {stored.name!r} ({stored.evaluation_keys[:12]}) on {places}?", yes)
    if remote:
        with state.client() as client:
            try:
                client.delete_keys(stored.evaluation_keys)
            except EvaluationKeysNotFound:
                state.console.note("the server did not have them")
    if local:
        state.keystore().delete(stored)
    if state.as_json:
        state.console.document({"deleted": describe(stored), "local": local, "remote": remote})
    else:
        state.console.note(f"deleted {stored.name!r} on {places}")


def describe(keys: epaas_client.StoredKeys) -> dict[str, Any]:
    """Keys as a JSON object."""
    return {
        "name": keys.name,
        "evaluation_keys": keys.evaluation_keys,
        "profile": keys.profile,
        "profile_name": _profile_name(keys.profile),
        "created": keys.created.isoformat(),
        "path": str(keys.path),
    }


def ensure_uploaded(
    state: State, client: epaas_client.Client, stored: epaas_client.StoredKeys
) -> tuple[EvaluationKeys, bool]:
    """Send the evaluation keys if the server lacks them; whether they were sent."""
    sent = 0
    with state.console.upload("uploading the evaluation keys") as update:

        def progress(done: int, total: int) -> None:
            nonlocal sent
            sent = done
            update(done, total)

        status = client.upload_keys(stored, progress)
    state.console.note(f"uploaded {size(sent)}" if sent else "the server has the evaluation keys")
    return status, sent > 0


def wait_until_ready(state: State, client: epaas_client.Client, stored: epaas_client.StoredKeys) -> EvaluationKeys:
    """Wait for the server's trial run of the keys."""
    status = client.keys_status(stored.evaluation_keys)
    if status.state is KeysState.CHECKING:
        state.console.note("the server is trying the evaluation keys")
    return client.wait_for_keys(stored.evaluation_keys)


def _profile_name(digest: str) -> str:
    return next((profile.name for profile in shipped_profiles().values() if profile.digest == digest), digest[:12])
