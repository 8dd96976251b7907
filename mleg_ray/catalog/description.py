"""What specifications, manifests and checkpoints say of a dataset's events."""

from collections.abc import Container

from mleg_ray.definitions import Definitions
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, Field, Group

SELECTED = " where "  # behind the name of a dataset, before what its events fulfil


class Description(Definitions):
    """A dataset's name, fields and groups, and the values of the conditions that have one.

    Condition fields that `conditions` does not name differ from event to event.
    """

    name: str
    fields: tuple[Field, ...]
    groups: dict[str, Group] = {}
    conditions: dict[str, float] = {}

    @property
    def whole(self) -> str:
        """The name of the whole dataset, if some of its events were selected."""
        return self.name.partition(SELECTED)[0]

    @property
    def described(self) -> "Description":
        """These alone, without what a subclass adds."""
        return Description(**{name: getattr(self, name) for name in Description.model_fields})

    @property
    def schema_(self) -> EventSchema:
        """The fields by role, and the groups."""
        return EventSchema(self.fields, self.groups)

    @property
    def stored(self) -> EventSchema:
        """What shards hold: all but the conditions that have one value."""
        return self.schema_.without(self.conditions)

    def without(self, names: Container[str]) -> "Description":
        """Return the description without these fields, and without groups that are empty then."""
        schema = self.schema_.without(names)
        return self.described.model_copy(update={"fields": schema.fields, "groups": schema.groups})

    def require_consistent(self) -> None:
        """Raise `ConfigError` unless all definitions follow from the fields."""
        schema = self.schema_
        unknown = sorted(set(self.conditions) - set(schema.conditions))
        if unknown:
            raise ConfigError(f"conditions: {', '.join(unknown)} is no field with role 'condition'")
        numbers = (*schema.event, *schema.varying(self.conditions))
        self.check(schema.example().choose((*schema.event, *schema.conditions)), numbers)
