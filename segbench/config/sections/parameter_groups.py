"""Parameter groups: parameters of a network with their own learning rate or weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from segbench.config.reading.one_or_several import ONE_OR_SEVERAL
from segbench.config.reading.validation_errors import check_keys

Pattern = Annotated[str, Field(min_length=1)]


class ParameterGroup(BaseModel):
    """Parameters selected by name, with their own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    parameters: Annotated[tuple[Pattern, ...], ONE_OR_SEVERAL]
    """A pattern of parameter names, or several: ``encoder.*``, ``*.bias``. ``*`` matches any text including dots, ``?``
    one character; case-sensitive."""
    lr: float | None = Field(default=None, ge=0)
    """Their highest learning rate; the schedule keeps its ratio to that of the optimizer. 0 freezes them."""
    lr_scale: float | None = Field(default=None, ge=0)
    """Their learning rate as a multiple of the optimizer's, instead of ``lr``. 0 freezes them: their gradients are not
    computed."""
    weight_decay: float | None = Field(default=None, ge=0)
    """Their weight decay."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            check_keys(cls, given)
        return given

    @field_validator("parameters", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @model_validator(mode="after")
    def _something_of_its_own(self) -> ParameterGroup:
        if self.lr is None and self.lr_scale is None and self.weight_decay is None:
            raise ValueError("changes nothing: give lr, lr_scale or weight_decay")
        if self.lr is not None and self.lr_scale is not None:
            raise ValueError("give either lr or lr_scale")
        return self

    def matches(self, name: str) -> bool:
        """Return whether a parameter's name matches one of the patterns."""
        return any(fnmatchcase(name, pattern) for pattern in self.parameters)

    @property
    def title(self) -> str:
        """Its patterns in a line."""
        return ", ".join(self.parameters)

    @property
    def freezes(self) -> bool:
        """Whether its parameters are not trained."""
        return 0 in (self.lr, self.lr_scale)


class Setting(NamedTuple):
    """Settings of one parameter that differ from the optimizer's; None if they do not.

    Attributes:
        lr: Its highest learning rate.
        lr_scale: Its learning rate as a multiple of the optimizer's.
        weight_decay: Its weight decay.
    """

    lr: float | None = None
    lr_scale: float | None = None
    weight_decay: float | None = None

    @property
    def frozen(self) -> bool:
        """Whether the parameter is not trained."""
        return 0 in (self.lr, self.lr_scale)


def setting_of(name: str, groups: Iterable[ParameterGroup]) -> Setting:
    """Return the settings of a parameter from all matching groups; later groups take precedence."""
    found = Setting()
    for group in groups:
        if not group.matches(name):
            continue
        if group.lr is not None or group.lr_scale is not None:
            found = found._replace(lr=group.lr, lr_scale=group.lr_scale)
        if group.weight_decay is not None:
            found = found._replace(weight_decay=group.weight_decay)
    return found
