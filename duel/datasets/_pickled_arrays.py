"""Arrays out of the Python 2 pickles of CIFAR-10, read as data.

Nothing in the file is executed or imported: `pickletools.genops` of the standard library names the
opcodes, and the rules below, just those that CIFAR's files need, move plain values on a stack. The
three NumPy names that the files refer to are markers here; every other name or opcode is refused.
To read another opcode, add its rule to `_RULES`.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from duel.errors import DataError

if TYPE_CHECKING:
    import numpy as np

_MAX_BYTES = 1 << 26  # a CIFAR-10 batch has 31 million bytes
_MAX_OPCODES = 100_000  # and 29,000 opcodes


class _Name(Enum):
    """The names that a GLOBAL opcode may give; they are compared, never called."""

    RECONSTRUCT = "numpy.core.multiarray _reconstruct"
    NDARRAY = "numpy ndarray"
    DTYPE = "numpy dtype"


class _ByteType(Enum):
    """The one element type these files have, before and after its BUILD."""

    NEW = "u1"
    BUILT = "uint8"


class _NewArray:
    """An array whose BUILD, with shape and data, is still to come."""


@dataclass
class _Machine:
    """`marks` holds stack heights; `memo` keeps strings only, so that no value can contain itself."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, str] = field(default_factory=dict)

    def pop(self) -> Any:
        _require(bool(self.stack), "it takes a value from an empty stack")
        return self.stack.pop()

    def pop_marked(self) -> list[Any]:
        _require(bool(self.marks), "it takes values up to a mark that is not there")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self, kind: type) -> Any:
        _require(bool(self.stack) and type(self.stack[-1]) is kind, f"it changes what is no {kind.__name__}")
        return self.stack[-1]


def read_arrays(content: bytes) -> dict[str, Any]:
    """The dictionary that such a file holds: strings, integers, lists and uint8 arrays by name.

    Raises DataError, and nothing else, for any other content.
    """
    if len(content) > _MAX_BYTES:
        raise DataError(f"the pickle has {len(content):,} bytes, allowed are {_MAX_BYTES:,}")
    machine = _Machine()
    for name, argument in _opcodes(content):
        if name not in _RULES:
            raise DataError(
                f"the pickle has the opcode {name}, which is not needed for arrays and is not carried out: "
                "get the published file"
            )
        _RULES[name](machine, argument)
    _require(len(machine.stack) == 1 and isinstance(machine.stack[0], dict), "it holds no dictionary")
    result: dict[str, Any] = machine.stack[0]
    return result


def _opcodes(content: bytes) -> Iterator[tuple[str, Any]]:
    """Name and argument of each opcode before the STOP that must be the last byte."""
    try:
        for count, (opcode, argument, position) in enumerate(pickletools.genops(content)):
            _require(count < _MAX_OPCODES, f"it has more than {_MAX_OPCODES:,} opcodes")
            if opcode.name == "STOP":
                _require(position == len(content) - 1, "bytes follow its end")
                return
            yield opcode.name, argument
    except DataError:
        raise
    except Exception as error:  # whatever the disassembler meets in a hostile file
        raise DataError(f"the pickle is damaged ({str(error)[:200]}): get the published file") from error


def _require(condition: bool, fault: str) -> None:
    if not condition:
        raise DataError(f"the pickle is not one of arrays ({fault}): get the published file")


def _protocol(machine: _Machine, version: int) -> None:
    _require(version == 2, f"it has protocol {version}, not 2")


def _push(machine: _Machine, value: Any) -> None:
    machine.stack.append(value)


def _mark(machine: _Machine, _: None) -> None:
    machine.marks.append(len(machine.stack))


def _put(machine: _Machine, index: int) -> None:
    if machine.stack and isinstance(machine.stack[-1], str):
        machine.memo[index] = machine.stack[-1]


def _get(machine: _Machine, index: int) -> None:
    _require(index in machine.memo, "it refers back to what is no string")
    machine.stack.append(machine.memo[index])


def _append(machine: _Machine, _: None) -> None:
    values = machine.pop_marked()
    machine.top(list).extend(values)


def _set(machine: _Machine, _: None) -> None:
    values = machine.pop_marked()
    keys = values[::2]
    _require(len(values) % 2 == 0 and all(isinstance(key, str) for key in keys), "its keys are no strings")
    machine.top(dict).update(zip(keys, values[1::2], strict=True))


def _tuple(length: int) -> Callable[[_Machine, None], None]:
    def rule(machine: _Machine, _: None) -> None:
        values = [machine.pop() for _ in range(length)]
        machine.stack.append(tuple(values[::-1]))

    return rule


def _marked_tuple(machine: _Machine, _: None) -> None:
    machine.stack.append(tuple(machine.pop_marked()))


def _global(machine: _Machine, name: str) -> None:
    known = {marker.value: marker for marker in _Name}
    if name not in known:
        raise DataError(
            f"the pickle has the opcode GLOBAL with the name {name[:80]!r}, which is not carried out; "
            f"allowed are {', '.join(known)}: get the published file"
        )
    machine.stack.append(known[name])


def _reduce(machine: _Machine, _: None) -> None:
    """The two calls: `_reconstruct(ndarray, (0,), "b")` and `dtype("u1", 0, 1)`."""
    arguments, called = machine.pop(), machine.pop()
    if called is _Name.RECONSTRUCT and _same(arguments, (_Name.NDARRAY, (0,), "b")):
        machine.stack.append(_NewArray())
    elif called is _Name.DTYPE and _same(arguments, ("u1", 0, 1)):
        machine.stack.append(_ByteType.NEW)
    else:
        raise DataError("the pickle has the opcode REDUCE with a call that makes no array of bytes")


def _same(value: Any, expected: Any) -> bool:
    """Equality of types and values; `==` alone would compare arrays, element by element."""
    if isinstance(expected, tuple):
        alike = type(value) is tuple and len(value) == len(expected)
        return alike and all(map(_same, value, expected))
    return type(value) is type(expected) and bool(value == expected)


def _build(machine: _Machine, _: None) -> None:
    state, built = machine.pop(), machine.pop()
    if built is _ByteType.NEW and _same(state, (3, "|", None, None, None, -1, -1, 0)):
        machine.stack.append(_ByteType.BUILT)
    elif isinstance(built, _NewArray):
        machine.stack.append(_array(state))
    else:
        raise DataError("the pickle has the opcode BUILD for what is no array of bytes")


def _array(state: Any) -> np.ndarray:
    """The array of NumPy's state (version 1, shape, element type, Fortran order, data)."""
    import numpy as np

    _require(isinstance(state, tuple) and len(state) == 5, "an array's state has not five parts")
    version, shape, element, fortran, data = state
    _require(_same(version, 1) and fortran is False, "an array has another layout")
    _require(element is _ByteType.BUILT, "an array's elements are no bytes")
    _require(isinstance(shape, tuple) and 1 <= len(shape) <= 4, "an array has not 1 to 4 dimensions")
    _require(all(type(size) is int and size >= 0 for size in shape), "an array's sizes are no counts")
    _require(isinstance(data, str) and len(data) == math.prod(shape), "an array's data do not fill its shape")
    return np.frombuffer(data.encode("latin-1"), np.uint8).reshape(shape)


_RULES: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _protocol,
    "NONE": _push,  # genops gives None as its argument
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "BININT": _push,
    "BININT1": _push,
    "BININT2": _push,
    "BINSTRING": _push,
    "SHORT_BINSTRING": _push,
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "MARK": _mark,
    "APPENDS": _append,
    "SETITEMS": _set,
    "TUPLE": _marked_tuple,
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _global,
    "REDUCE": _reduce,
    "BUILD": _build,
}
