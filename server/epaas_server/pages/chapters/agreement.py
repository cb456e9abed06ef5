"""Whether what is served is what was measured, and what a record costs: measured then, predicted here."""

from __future__ import annotations

from epaas_shared.protocol import ModelVersion
from epaas_shared.quantities import count, duration, size
from epaas_shared.report.agreement import Agreement, EncryptedAgreement
from epaas_web.pages.elements import Block, Cell, Chapter, Table, Text, count_cell, facts, share_cell, text_cell


def agreement_chapter(found: Agreement, model: ModelVersion) -> Chapter:
    blocks: list[Block] = []
    if found.torch is not None:
        blocks.append(
            Text(
                f"The integers that are served and the network that was trained have the same sums on "
                f"{count(found.torch.agree)} of {count(found.torch.rows)} test rows."
            )
        )
    if found.encrypted is not None:
        blocks.append(_encrypted(found.encrypted))
    blocks.append(_cost(found.encrypted, model))
    takeaway = "Not yet measured on encrypted records."
    if found.encrypted is not None:
        same = found.encrypted.agree == found.encrypted.rows
        takeaway = (
            "What holds for the plain network holds for encrypted predictions: they were equal on every record tried."
            if same
            else "Encrypted predictions differed from the plain network's: this report speaks of the plain network."
        )
    return Chapter("agreement", "Agreement and cost", takeaway, tuple(blocks))


def _encrypted(found: EncryptedAgreement) -> Table:
    return facts(
        "Test records that a real client sent to a real server",
        ("records", count_cell(found.rows)),
        ("equal to the plain network", count_cell(found.agree)),
        ("equal, as a share", share_cell(found.agree / found.rows if found.rows else None)),
        ("right", count_cell(found.right)),
        ("bundle that was served", text_cell(found.model_digest, "digest")),
    )


def _cost(found: EncryptedAgreement | None, model: ModelVersion) -> Table:
    here, there = model.cost, found
    rows = (
        (
            text_cell("seconds a record"),
            _duration(there.seconds if there else None),
            _duration(here.seconds),
        ),
        (text_cell("bootstraps"), count_cell(there.bootstraps if there else None), count_cell(here.bootstraps)),
        (text_cell("longest chain of bootstraps"), Cell("-"), count_cell(here.depth)),
        (text_cell("threads"), count_cell(there.threads if there else None), Cell("-")),
        (text_cell("memory"), Cell("-"), _size(here.memory_bytes)),
        (text_cell("encrypted record"), _size(there.record_bytes if there else None), _size(here.record_bytes)),
        (text_cell("encrypted result"), _size(there.result_bytes if there else None), _size(here.result_bytes)),
        (text_cell("machine"), text_cell(there.machine if there else "-"), text_cell("this server")),
    )
    return Table("What a record costs", ("", "Measured for the report", "Predicted on this server"), rows)


def _duration(value: float | None) -> Cell:
    return Cell("-") if value is None else Cell(duration(value), value)


def _size(value: int | None) -> Cell:
    return Cell("-") if value is None else Cell(size(value), value)
