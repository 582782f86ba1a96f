"""The schema that protoc's Python modules hold, as a FileDescriptorSet: extract_schema.py OUTPUT MODULE...

Each module says `DESCRIPTOR = ...AddSerializedFile(b'...')`, whose argument is a serialized FileDescriptorProto. The
modules are parsed and never run. A set is field 1, once a file; each file stands behind those that it imports.
"""
import ast
import sys


def serialized_file(path):
    with open(path, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "AddSerializedFile":
            return ast.literal_eval(node.args[0])
    sys.exit("%s: no AddSerializedFile" % path)


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7


def strings(data, wanted):
    """The values of the field `wanted`, a string. Every field of a FileDescriptorProto has a length or is a varint."""
    at, found = 0, []
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == 2:
            if key >> 3 == wanted:
                found.append(data[at:at + value].decode())
            at += value
        elif key & 7 != 0:
            sys.exit("a field of wire type %d" % (key & 7))
    return found


def to_varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def main():
    files = [serialized_file(path) for path in sys.argv[2:]]
    by_name = {strings(data, 1)[0]: data for data in files}
    ordered = {}

    def add(name):
        if name in by_name and name not in ordered:
            for imported in strings(by_name[name], 3):
                add(imported)
            ordered[name] = by_name[name]

    for name in sorted(by_name):
        add(name)
    with open(sys.argv[1], "wb") as out:
        for data in ordered.values():
            out.write(b"\x0a" + to_varint(len(data)) + data)


main()
