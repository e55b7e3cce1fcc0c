"""Completes a linked image: checksums of all that is loaded, and a digest of it, into its section .image.

Run as python post_link.py firmware.elf, after each link and before other forms of the image are made. The firmware
compares the checksums when it starts; src/image.h describes the record, board/link.ld says what it covers.
"""

import hashlib
import struct
import sys
import zlib
from collections import namedtuple

MAGIC = 0x494D4854
HEAD = struct.Struct("<II20sI")  # magic, CRC-32 of what follows it, digest, number of ranges
RANGE = struct.Struct("<IIII")  # first address, bytes, part, CRC-32
CRC_AT = 12  # of a range
ID_AT = 8  # of the record: here begins what its own checksum covers

LOADED, NO_BITS = 1, 8  # types of program headers and of sections
ALLOCATED = 2

Section = namedtuple("Section", "name loaded_at runs_at offset size has_bytes")


class Unreadable(Exception):
    """The file is not what the linker writes with Thimble's script."""


def read_elf(elf):
    """The sections that take memory, and the address where the program begins."""
    if elf[:4] != b"\x7fELF":
        raise Unreadable("it is no ELF file")
    if elf[4:6] != b"\x01\x01":
        raise Unreadable("it is no ELF file of 32 bits, low byte first")
    try:
        entry, segments_at, sections_at = struct.unpack_from("<III", elf, 24)
        segment_size, segments, section_size, sections, names_index = struct.unpack_from("<HHHHH", elf, 42)
        headers = [struct.unpack_from("<10I", elf, sections_at + i * section_size) for i in range(sections)]
        loads = [struct.unpack_from("<8I", elf, segments_at + i * segment_size) for i in range(segments)]
        names = elf[headers[names_index][4] :]
    except (struct.error, IndexError):
        raise Unreadable("its headers are cut off") from None
    found = []
    for name, kind, flags, address, offset, size in (header[:6] for header in headers):
        if not flags & ALLOCATED:
            continue
        text = names[name:].split(b"\0", 1)[0].decode("ascii", "replace")
        if kind != NO_BITS and offset + size > len(elf):
            raise Unreadable(f"section {text} is cut off")
        loaded_at = address
        for load in loads:
            if load[0] == LOADED and load[1] <= offset and offset + size <= load[1] + load[4] and kind != NO_BITS:
                loaded_at = load[3] + offset - load[1]
        found.append(Section(text, loaded_at, address, offset, size, kind != NO_BITS))
    return found, entry


def find_record(sections, elf):
    """The section .image."""
    for section in sections:
        if section.name == ".image" and section.has_bytes and section.size >= HEAD.size:
            magic, _, _, count = HEAD.unpack_from(elf, section.offset)
            if magic == MAGIC and section.size == HEAD.size + count * RANGE.size:
                return section
            raise Unreadable("its section .image is not what src/image.h describes")
    raise Unreadable("it has no section .image, which board/link.ld makes and src/image.c begins")


def place_of(sections, start, count):
    """Where in the file the bytes of a range lie."""
    for section in sections:
        if section.has_bytes and section.loaded_at <= start and start + count <= section.loaded_at + section.size:
            return section.offset + start - section.loaded_at
    raise Unreadable(f"its section .image says that {count} bytes lie at 0x{start:08x}, where nothing is loaded")


def digest_of(elf, sections, entry):
    """16 hexadecimal digits of all that is loaded, and where it lies."""
    digest = hashlib.sha256(struct.pack("<I", entry))
    for section in sections:
        digest.update(struct.pack("<III", section.loaded_at, section.runs_at, section.size))
        if section.has_bytes:
            digest.update(elf[section.offset : section.offset + section.size])
    return digest.hexdigest()[:16]


def completed(content):
    """The ELF file with its record written; the same whether it was written before or not."""
    elf = bytearray(content)
    sections, entry = read_elf(elf)
    record = find_record(sections, elf)
    struct.pack_into("<I20s", elf, record.offset + 4, 0, b"")
    ranges = range(record.offset + HEAD.size, record.offset + record.size, RANGE.size)
    covered = []
    for at in ranges:
        struct.pack_into("<I", elf, at + CRC_AT, 0)
    identifier = digest_of(elf, sections, entry)
    for at in ranges:
        start, count, _, _ = RANGE.unpack_from(elf, at)
        if count:
            covered.append((start, start + count))
            place = place_of(sections, start, count)
            struct.pack_into("<I", elf, at + CRC_AT, zlib.crc32(elf[place : place + count]))
    for section in sections:
        first, end = section.loaded_at, section.loaded_at + section.size
        inside = any(low <= first and end <= high for low, high in covered)
        if section.has_bytes and section.size and section != record and not inside:
            raise Unreadable(
                f"section {section.name} ({section.size} bytes at 0x{first:08x}) is loaded, but not checked: "
                "board/link.ld must put it into one of the sections that .image lists, or list it there"
            )
    struct.pack_into("<20s", elf, record.offset + ID_AT, identifier.encode("ascii"))
    rest = elf[record.offset + ID_AT : record.offset + record.size]
    struct.pack_into("<I", elf, record.offset + 4, zlib.crc32(rest))
    return bytes(elf)


def main(arguments):
    """What `sys.exit` takes: 0, or what went wrong."""
    if len(arguments) != 1:
        return "usage: python post_link.py firmware.elf"
    path = arguments[0]
    try:
        with open(path, "rb") as file:
            content = file.read()
        content = completed(content)
        with open(path, "r+b") as file:
            file.write(content)
    except (OSError, Unreadable) as error:
        return f"post_link.py: error: {path} cannot be completed: {error}"
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
