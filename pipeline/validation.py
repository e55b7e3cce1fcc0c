"""What configuration files have in common: strict models, and all that is wrong in one `ConfigError`.

Models are pydantic's. A class states types, ranges and choices; what depends on several keys is a validator that calls
`complain`. `validate` turns pydantic's list of errors into problems that name the dotted key, what is allowed there,
and a known spelling close to one that is not.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from typing_extensions import get_type_hints, is_typeddict

from pipeline.errors import ConfigError, MissingFile, Problem
from pipeline.files import PlainLoader, read_small_text

__all__ = [
    "NAME_PATTERN",
    "Complaint",
    "Line",
    "Name",
    "Number",
    "StrictModel",
    "complain",
    "complaint",
    "did_you_mean",
    "read_yaml",
    "repeat",
    "validate",
]

_Model = TypeVar("_Model", bound=BaseModel)
_OWN = "thimble"
"""The type of the errors that our own validators raise."""

Complaint = InitErrorDetails
"""An error of a validator that looks at several keys: see `complaint`."""


class StrictModel(BaseModel):
    """Frozen data that is checked when it is made: no unknown keys, no conversions, no NaN."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    added_later: ClassVar[frozenset[str]] = frozenset()
    """Keys that fingerprints leave out at their defaults, so that those of files older than the key stay valid."""
    shorthands: ClassVar[tuple[str, ...]] = ()
    """Keys that stand for others, and are gone once the model is made."""
    section: ClassVar[str] = ""
    """The dotted key of the section in its file, for messages."""

    @classmethod
    def from_mapping(cls, data: object) -> Self:
        """The model of plain data, as YAML gives it.

        Raises:
            ConfigError: names every key that is unknown, of the wrong type, out of range, or in conflict with another.
        """
        return validate(cls, data, prefix=cls.section)

    def replace(self, **changes: Any) -> Self:
        """The same with other values, checked anew; keys that were not given stay so.

        Raises:
            ValidationError: the values do not fit together (a ValueError).
        """
        values = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        changed = type(self).model_validate({**values, **changes})
        for name in self.__private_attributes__:
            setattr(changed, name, getattr(self, name))
        return changed

    def fingerprint_data(self) -> dict[str, Any]:
        """Plain data that identifies the model: every value, without the keys `added_later` at their defaults."""
        return {
            name: value.fingerprint_data() if isinstance(value := getattr(self, name), StrictModel) else value
            for name, field in type(self).model_fields.items()
            if name not in self.added_later or getattr(self, name) != field.get_default(call_default_factory=True)
        }


def _as_given(value: Any, handler: Any) -> Any:
    handler(value)
    return value


Number = Annotated[float, WrapValidator(_as_given)]
"""A number; one that is written as a whole number stays so, since fingerprints tell 2 from 2.0."""
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""What may name a folder or a file: letters, digits, `-`, `_` and `.`, at most 64."""
LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
Line = Annotated[str, Field(pattern=LINE_PATTERN)]
"""Text that stands in one line, wherever it is written."""


def complaint(key: str | tuple[int | str, ...], what: str, remedy: str, value: object = None) -> Complaint:
    """An error of a validator.

    Args:
        key: the key within the model, dotted or as a tuple; empty for the model itself.
        what: what is wrong, as the message goes on after the key.
        remedy: what is allowed.
        value: what the key holds.
    """
    location = key if isinstance(key, tuple) else tuple(filter(None, key.split(".")))
    error = PydanticCustomError(_OWN, "{what} ({remedy})", {"what": what, "remedy": remedy})
    return InitErrorDetails(type=error, loc=location, input=value)


def complain(complaints: Iterable[Complaint]) -> None:
    """Raises what a validator found, if anything.

    Raises:
        ValidationError: there is at least one complaint.
    """
    if found := list(complaints):
        raise ValidationError.from_exception_data("values that do not fit together", found)


def repeat(error: ValidationError) -> list[Complaint]:
    """The errors of a model, to be raised together with further ones."""
    complaints = []
    for details in error.errors(include_url=False):
        context = details.get("ctx", {})
        if details["type"] == _OWN:
            complaints.append(complaint(details["loc"], context["what"], context["remedy"], details["input"]))
        else:
            again = InitErrorDetails(type=details["type"], loc=details["loc"], input=details["input"], ctx=context)
            complaints.append(again)
    return complaints


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """`; did you mean `steps`?`, or nothing where no known word is close."""
    close = difflib.get_close_matches(str(given), list(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def validate(model: type[_Model], data: object, file: object = "", prefix: str = "", context: Any = None) -> _Model:
    """Plain data as a model.

    Args:
        model: what it should be.
        data: what a YAML file holds.
        file: where it comes from, for messages.
        prefix: the dotted key that the data has in the file.
        context: for the model's validators.

    Raises:
        ConfigError: names every key that is wrong.
    """
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        raise ConfigError(file, problems_of(model, error, prefix)) from None


def read_yaml(path: Path, kind: str, remedy: str) -> object:
    """The content of a YAML file that is there.

    Raises:
        MissingFile: there is no such file; it is a FileNotFoundError too.
        ConfigError: it cannot be read, or is not YAML.
    """
    try:
        return yaml.load(read_small_text(path), Loader=PlainLoader)
    except FileNotFoundError:
        raise MissingFile("", [Problem("", f"there is no {kind} at {path}", "check the path")]) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is no UTF-8 ({error})"
        raise ConfigError("", [Problem("", f"cannot read the {kind} {path}: {reason}", remedy)]) from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(path, [Problem("", f"not valid YAML: {reason}", "mend the line that it names")]) from None


def problems_of(model: type[BaseModel], error: ValidationError, prefix: str = "") -> list[Problem]:
    """The problems that pydantic names, in the order of the file's keys."""
    errors = error.errors(include_url=False)
    # An entry that is wrong makes its list too short as well.
    real = [details for details in errors if details["type"] != "too_short" or not details["input"]]
    return list(dict.fromkeys(_problem(model, details, prefix) for details in real or errors))


_TYPES = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping of keys",
    "model": "a mapping of keys",
    "model_attributes": "a mapping of keys",
    "typed_dict": "a mapping of keys",
    "mapping": "a mapping of keys",
    "list": "a list",
    "tuple": "a list",
}


def _problem(model: type[BaseModel], details: ErrorDetails, prefix: str) -> Problem:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    owner, field, names = _locate(model, details["loc"])
    if kind.startswith("union_tag"):  # of the key that chooses the model
        names = [*names, str(context["discriminator"]).strip("'")]
        value = value.get(names[-1]) if isinstance(value, Mapping) else value
    key = ".".join(filter(None, (prefix, *names)))
    named = f"`{key}`" if key else "the file"
    if kind == _OWN:
        return Problem(key, f"{named} {context['what']}", context["remedy"])
    if kind == "extra_forbidden":
        known = _known_keys(owner)
        where = f" in `{key.rpartition('.')[0]}`" if "." in key else ""
        close = did_you_mean(names[-1], known).removeprefix("; ")
        remedy = f"{close} {'K' if close else 'k'}nown keys{where}: {', '.join(known)}".strip()
        return Problem(key, f"unknown key {named}", remedy)
    if kind in ("missing", "union_tag_not_found"):
        about = " ".join((field.description if field is not None and field.description else "").split())
        return Problem(key, f"{named} is missing", f"add it: {about.split('. ')[0].rstrip('.')}" if about else "add it")
    if kind in ("literal_error", "union_tag_invalid"):
        known = re.findall(r"'([^']*)'", str(context.get("expected", context.get("expected_tags", ""))))
        return Problem(
            key, f"{named} {_shown(value)} is not known", f"use one of: {', '.join(known)}{did_you_mean(value, known)}"
        )
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        if pattern == LINE_PATTERN:
            return Problem(key, f"{named} {_shown(value)} is not one line of text", "write it in one line")
        longest = re.fullmatch(r"\^\[[^]]*\]\[[^]]*\]\{0,(\d+)\}\$", pattern)
        if longest is None:
            return Problem(key, f"{named} {_shown(value)} has another form", f"write what fits {pattern}")
        allowed = f"use letters, digits, '-', '_' and '.', at most {1 + int(longest[1])}"
        return Problem(key, f"{named} {_shown(value)} cannot name a folder", allowed)
    wanted = _TYPES.get(kind.removesuffix("_type"))
    if wanted is not None:
        what = f"{named} is {_typed(value)}, not {wanted}" if key else f"{_typed(value)} is not {wanted}"
        return Problem(key, what, f"write {wanted}{_range(field)}")
    if kind in ("too_short", "string_too_short") and not value:
        return Problem(key, f"{named} is empty", "name at least one" if kind == "too_short" else "write some text")
    bounds = _range(field).removeprefix(", ")
    return Problem(key, f"{named} is {_shown(value)}", f"use a number {bounds}" if bounds else details["msg"])


def _shown(value: object) -> str:
    return "empty" if value is None else f"{value!r:.40}"


def _typed(value: object) -> str:
    return "empty" if value is None else f"{value!r:.40} ({type(value).__name__})"


def _range(field: FieldInfo | None) -> str:
    """`, from 1 to 64`, as the field's bounds say; empty where there are none."""
    limits = {
        name: getattr(entry, name)
        for entry in (field.metadata if field is not None else ())
        for name in ("ge", "gt", "le", "lt")
        if getattr(entry, name, None) is not None
    }
    low = f"from {limits['ge']}" if "ge" in limits else f"above {limits['gt']}" if "gt" in limits else ""
    high = f"to {limits['le']}" if "le" in limits else f"below {limits['lt']}" if "lt" in limits else ""
    if low and high:
        return f", {low} {'and ' if low.startswith('above') or high.startswith('below') else ''}{high}"
    return f", {low or high}{' on' if low.startswith('from') and not high else ''}" if low or high else ""


def _known_keys(owner: Any) -> list[str]:
    if is_typeddict(owner):
        return list(get_type_hints(owner))
    return [*getattr(owner, "shorthands", ()), *owner.model_fields] if _is_model(owner) else []


def _locate(model: type[BaseModel], location: Sequence[int | str]) -> tuple[Any, FieldInfo | None, list[str]]:
    """What an error's location names.

    Returns:
        The model that holds (or lacks) the last key, the key's field if it has one, and the keys as the file has them:
        without the tags that choose one of several models.
    """
    choices: list[Any] = [model]
    owner: Any = model
    field: FieldInfo | None = None
    names: list[str] = []
    for part in location:
        tagged = [choice for choice in choices if _tag_of(choice) == part]
        if isinstance(part, str) and part.startswith("["):  # `[key]`, or a tag that is the name of the choice's type
            choices = [choice for choice in choices if f"[{getattr(choice, '__name__', '')}]" == part]
            continue
        if len(choices) > 1 and tagged:
            choices = tagged
            continue
        names.append(str(part))
        owner = next((choice for choice in choices if part in _known_keys(choice)), choices[0] if choices else None)
        field = owner.model_fields.get(str(part)) if _is_model(owner) else None
        choices = _choices(_annotation(owner, part, field))
    return owner, field, names


def _annotation(owner: Any, part: int | str, field: FieldInfo | None) -> Any:
    """The type of what a key of a model, or an entry of a container, holds."""
    if field is not None:
        return field.annotation
    if is_typeddict(owner):
        return get_type_hints(owner).get(str(part))
    origin, arguments = get_origin(owner), get_args(owner)
    return arguments[0 if origin in (list, tuple) else -1] if arguments and origin is not Literal else None


def _choices(annotation: Any) -> list[Any]:
    """A union's members, or the type alone."""
    if get_origin(annotation) is Annotated:
        return _choices(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [choice for member in get_args(annotation) for choice in _choices(member) if choice is not type(None)]
    return [] if annotation is None else [annotation]


def _tag_of(model: Any) -> str | None:
    """The literal by which a discriminated union knows the model."""
    for field in model.model_fields.values() if _is_model(model) else ():
        if get_origin(field.annotation) is Literal:
            return str(get_args(field.annotation)[0])
    return None


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
