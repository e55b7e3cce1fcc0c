"""Intel HEX to UF2, the format of boot loaders that show a drive.

Run as python uf2.py IN.hex OUT.uf2 FAMILY.
"""

import sys

MAGIC = 0x0A324655, 0x9E5D5157, 0x0AB16F30
FAMILY_PRESENT = 0x2000
PAYLOAD = 256


def memory_of(text):
    """Address -> byte."""
    memory, base = {}, 0
    for line in text.split():
        record = bytes.fromhex(line.removeprefix(":"))
        if sum(record) & 0xFF or len(record) != record[0] + 5:
            sys.exit(f"{line}: a record is broken")
        address, kind, data = int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        if kind == 0:
            memory.update({base + address + i: byte for i, byte in enumerate(data)})
        elif kind == 2:
            base = int.from_bytes(data, "big") << 4
        elif kind == 4:
            base = int.from_bytes(data, "big") << 16
    return memory


def uf2_of(memory, family):
    """The blocks, of 512 bytes each; what no record gives is 0xFF, as erased flash."""
    pages = sorted({address // PAYLOAD * PAYLOAD for address in memory})
    blocks = []
    for number, page in enumerate(pages):
        payload = bytes(memory.get(page + i, 0xFF) for i in range(PAYLOAD))
        words = (*MAGIC[:2], FAMILY_PRESENT, page, PAYLOAD, number, len(pages), family)
        head = b"".join(word.to_bytes(4, "little") for word in words)
        blocks.append(head + payload.ljust(476, b"\0") + MAGIC[2].to_bytes(4, "little"))
    return b"".join(blocks)


if __name__ == "__main__":
    source, target, family = sys.argv[1:]
    with open(source, encoding="ascii") as file:
        content = uf2_of(memory_of(file.read()), int(family, 0))
    with open(target, "wb") as out:
        out.write(content)
