"""The common part of the handles of jobs, endpoints and custom models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from tunestack._utils.html import fields_table

if TYPE_CHECKING:
    from tunestack.backends.protocols import Backend
    from tunestack.polling import Poll


class _Info(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


Info = TypeVar("Info", bound=_Info)


class Handle(Generic[Info]):
    """A handle: it holds the last observation of something at a provider, and can be compared, copied and pickled."""

    def __init__(self, backend: Backend, info: Info, *, poll: Poll) -> None:
        """Store the observation."""
        self._backend = backend
        self._info = info
        self._poll = poll

    @property
    def id(self) -> str:
        """The provider's id: on Bedrock the ARN."""
        return self._info.id

    @property
    def name(self) -> str:
        """The name; on Bedrock unique in the account and region."""
        return self._info.name

    @property
    def info(self) -> Info:
        """The last observation; `refresh` gets a new one."""
        return self._info

    @property
    def backend(self) -> Backend:
        """The backend of this object."""
        return self._backend

    def _repr_html_(self) -> str:
        """Show the last observation in a notebook; nothing is called."""
        title = f"{type(self).__name__} {self._info.name}"
        return fields_table(title, self._info, hidden=("name", "raw_state"))

    def __eq__(self, other: object) -> bool:
        """Return whether both have the same id."""
        return type(other) is type(self) and self.id == other.id

    def __hash__(self) -> int:
        """Return the hash of the id."""
        return hash(self.id)

    def __copy__(self) -> Self:
        """Return another handle, which shares the clients."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def __deepcopy__(self, _memo: object) -> Self:
        """Return another handle, which shares the clients."""
        return self.__copy__()
