"""What all sections of the configuration have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=0, le=65_535)]


class Section(BaseModel):
    """Base of all sections: strict types, no unknown options, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
