"""What all chapters of a report are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A part of the report; its attributes' docstrings are the descriptions in the published JSON schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Measure(Section):
    """A number that was estimated from rows."""

    value: Finite
    interval: tuple[Finite, Finite] | None = None
    """95 % interval: percentiles of a bootstrap over rows, for calibration errors less what resampling adds to them;
    null where there is none."""


class Rate(Section):
    """A share of rows."""

    value: Share
    interval: tuple[Share, Share]
    """95 % Wilson interval."""
    rows: Count
