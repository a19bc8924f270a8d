"""YAML files written by hand: read with their line numbers, checked against a model, in one sentence."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from errors import BadConfiguration

M = TypeVar("M", bound=BaseModel)
Where = dict[tuple[str | int, ...], int]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is there: ten times faster, the same answers."""
MOST, DEEPEST = 1_000_000, 50
TOO_MUCH = "holds more than a million keys and items, or is nested deeper than 50 (aliases count as what they stand for); write it out without them."


def read(path: Path, model: type[M]) -> M:
    """The file as `model`.

    Raises BadConfiguration with one line per fault: file, line, key, what was found, what was
    expected.
    """
    data, where = parse(path)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = "\n".join(_sentence(path, where, data, fault) for fault in error.errors())
        raise BadConfiguration(faults) from None


def parse(path: Path) -> tuple[Any, Where]:
    """Plain data, and the line of each key and item."""
    try:
        text = path.read_text("utf-8-sig")
        _shallow(path, text)
        loader = LOADER(text)
        node = loader.get_single_node()
    except FileNotFoundError:
        raise BadConfiguration(
            f"{path}: there is no such file; `fairwatch init` writes one."
        ) from None
    except UnicodeDecodeError as error:
        raise BadConfiguration(f"{path}: is not UTF-8 text (byte {error.start}).") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadConfiguration(f"{path}, line {line}: not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise BadConfiguration(f"{path}: not YAML: {str(error).splitlines()[0]}.") from None
    where: Where = {(): 1}
    if node is not None:
        _walk(path, node, (), where)
    try:
        data = loader.construct_document(node) if node is not None else {}
    except (yaml.YAMLError, ValueError) as error:
        raise BadConfiguration(f"{path}: not YAML: {error}.") from None
    return data, where


def _shallow(path: Path, text: str) -> None:
    """Refuse what is nested so deep that building it would end the process, not raise."""
    depth = 0
    for event in yaml.parse(text, LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise BadConfiguration(f"{path}: {TOO_MUCH}")


def _walk(path: Path, node: yaml.Node, at: tuple[str | int, ...], where: Where) -> None:
    if len(at) > DEEPEST or len(where) > MOST:
        # An anchor within itself, or aliases of aliases, have no end.
        raise BadConfiguration(f"{path}: {TOO_MUCH}")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            line = key.start_mark.line + 1
            if here in where:
                raise BadConfiguration(
                    f"{path}, line {line}: key `{_dotted(here)}` stands twice "
                    f"(first on line {where[here]}); keep one."
                )
            where[here] = line
            _walk(path, value, here, where)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            where[(*at, index)] = value.start_mark.line + 1
            _walk(path, value, (*at, index), where)


def _sentence(path: Path, where: Where, data: Any, fault: Any) -> str:
    # Pydantic puts the tag of a tagged union into the location; the file knows no such key.
    location: tuple[str | int, ...] = ()
    for part in fault["loc"]:
        if (*location, part) in where:
            location = (*location, part)
    if fault["type"] == "missing":
        location = (*location, fault["loc"][-1])
    known = location
    while known not in where:
        known = known[:-1]
    key = f", key `{_dotted(location)}`" if location else ""
    if fault["type"] == "missing":
        found, expected = "nothing", "a value: the key is required"
    elif fault["type"] == "extra_forbidden":
        found, expected = "a key that is not known here", "no such key (is it misspelt?)"
    else:
        found = repr(fault["input"]) if not isinstance(fault["input"], dict | list) else "a block"
        expected = fault["msg"].removeprefix("Value error, ")
    return f"{path}, line {where[known]}{key}: found {found[:120]}; {_lower(expected)}."


def _lower(message: str) -> str:
    message = message.rstrip(".")
    lead = "" if message.lower().startswith(("expected", "input should")) else "expected "
    return (lead + message[:1].lower() + message[1:]).replace("input should be", "expected")


def _dotted(at: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in at)
