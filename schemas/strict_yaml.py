"""YAML of which no reader can hold two opinions.

YAML 1.1, which PyYAML reads, says that of two equal keys the last one wins, that `050` is 40,
`12:30` 750 and `no` false. Here scalars are those of YAML 1.2's core schema (null, true, false,
decimal numbers; all else is text), and what the two versions read differently, or what says a
thing twice, is refused.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

LARGEST_DOCUMENT = 1_000_000
"""Values of a document with its aliases written out; a few nested ones could stand for billions."""

_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_MERGE = "tag:yaml.org,2002:merge"
_OCTAL = "!leading-zero"

_INT_PATTERN = r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+"
_FLOAT_PATTERN = (
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML declares no ClassVar

    def get_single_data(self) -> Any:
        node = self.get_single_node()
        if node is None:
            return None
        _check(node)
        return self.construct_document(node)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        if isinstance(node, yaml.ScalarNode) and "\0" in node.value:
            raise yaml.constructor.ConstructorError(
                None, None, "a NUL character in a value", node.start_mark
            )
        return super().construct_scalar(node)

    def plain_int(self, node: yaml.ScalarNode) -> Any:
        """The number of a scalar tagged as one: YAML 1.1 would read 40, 90 and 15 of `!!int 050`,
        `!!int 1:30` and `!!int 1_5`."""
        return super().construct_yaml_int(_as_plain(node, _INT_PATTERN))

    def plain_float(self, node: yaml.ScalarNode) -> Any:
        return super().construct_yaml_float(_as_plain(node, f"{_INT_PATTERN}|{_FLOAT_PATTERN}"))

    def leading_zero(self, node: yaml.ScalarNode) -> Any:
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"{node.value} is octal to some readers and decimal to others; wanted it without "
            "leading zeros, or in quotes where it is text",
            node.start_mark,
        )


def _as_plain(node: yaml.ScalarNode, pattern: str) -> yaml.ScalarNode:
    if not isinstance(node, yaml.ScalarNode) or re.fullmatch(pattern, node.value) is None:
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"{node.value!r} is tagged as a number; wanted one in plain decimal digits, without "
            "leading zeros, `_` and `:`",
            node.start_mark,
        )
    return node


def _resolve(tag: str, pattern: str, first: str) -> None:
    """Plain scalars of the pattern are of the tag; `first` are the characters they begin with."""
    _Loader.add_implicit_resolver(tag, re.compile(rf"^(?:{pattern})$"), list(first) or [""])


_resolve(_NULL, "~|null|Null|NULL", "~nN")
_resolve(_NULL, "", "")
_resolve(_BOOL, "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve(_OCTAL, r"[-+]?0[0-9]+", "-+0")
_resolve(_INT, _INT_PATTERN, "-+0123456789")
_resolve(_FLOAT, _FLOAT_PATTERN, "-+.0123456789")
_resolve(_MERGE, "<<", "<")
_Loader.add_constructor(_INT, _Loader.plain_int)
_Loader.add_constructor(_FLOAT, _Loader.plain_float)
_Loader.add_constructor(_OCTAL, _Loader.leading_zero)


def _check(root: yaml.Node) -> None:
    """Refuses keys that are there twice, and aliases of themselves or of very much.

    Before anything is constructed: merging (`<<`) puts keys of two mappings into one.
    """
    sizes: dict[int, int] = {}
    unfinished: set[int] = set()

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in unfinished:
            raise yaml.YAMLError("an alias that holds itself")
        if id(node) not in sizes:
            unfinished.add(id(node))
            if isinstance(node, yaml.MappingNode):
                _refuse_second_keys(node)
                children = [child for pair in node.value for child in pair]
            else:
                children = node.value
            sizes[id(node)] = 1 + sum(map(size, children))
            unfinished.remove(id(node))
        return sizes[id(node)]

    if size(root) > LARGEST_DOCUMENT:
        raise yaml.YAMLError(f"more than {LARGEST_DOCUMENT:,} values")


def _refuse_second_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if (key.tag, key.value) in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key.value!r} is there twice", key.start_mark
            )
        seen.add((key.tag, key.value))


def load(text: str | bytes) -> Any:
    """The value of the one document that the text (UTF-8, or UTF-16 with a mark) holds.

    Raises:
      ValueError: it is not YAML, or one of what this module refuses; one line says what and where.
    """
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except RecursionError:
        raise ValueError("brackets nested too deeply") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    except (LookupError, AttributeError, ArithmeticError, TypeError, ValueError) as error:
        # PyYAML constructs tagged values without a look at them: `!!bool x`, `!!int ''`.
        raise ValueError(f"a value that its tag or escape cannot stand for ({error})") from None
