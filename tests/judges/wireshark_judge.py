#!/usr/bin/env python3
"""Wireshark's ISO 8583 dissector as a judge: what it reads in a capture has to be what isthmus reads in it.

usage: wireshark_judge.py ISTHMUS_BINARY FIXTURES_FOLDER [SEED]

The dissector knows the element tables of 1987 and 1993, digits as ASCII or in nibbles, bitmaps and binary elements as
hexadecimal characters or bytes, and a length of two bytes in front. It knows no header, no EBCDIC, no version 2003 and no
third bitmap; DIALECTS says for each built-in dialect how it is read, or why it cannot be. Within a dialect that it reads it
has mistakes of its own, told by `beyond`: a message is compared up to the first such element, and messages made for the
occasion have none of them. Prints what was compared, a line for every difference, and exits 1 where there was one.
"""
import json
import random
import struct
import subprocess
import sys
import tempfile

DIALECTS = {  # digits and binary data as the dissector's preferences have them, or why it cannot read the dialect
    "iso8583-1987-ascii": ("ascii", "ascii"), "iso8583-1987-bcd": ("bcd", "bin"),
    "iso8583-1993-ascii": ("ascii", "ascii"), "iso8583-1993-bcd": ("bcd", "bin"),
    "unionpay-interchange": ("ascii", "bin"), "mastercard-clearing": ("ascii", "bin"),
    "as2805": ("bcd", "bin"), "postilion": ("ascii", "bin"),
    "iso8583-2003-ascii": "version 2003", "iso8583-2003-bcd": "version 2003",
    "unionpay-pos": "a header in front of the message type", "base24": "a header in front of the message type",
    "visa-base1": "a header and EBCDIC text", "mastercard-authorization": "EBCDIC", "amex-1993": "EBCDIC", "jcb": "EBCDIC text",
}
PREFERENCES = {"ascii": "Digits represented as ASCII Characters", "bcd": "Digits represented in nibbles"}
BINARY = {"ascii": "Bin data represented as Hex Ascii characters", "bin": "Bin data not encoded"}
PORT = 8583
CHARACTERS = {"n": "0123456789", "a": "ABCxyz", "an": "0123456789ABCxyz", "ans": "0123456789ABCxyz/-.",
              "any": "0123456789GHIxyz/-.", "ns": "0123456789-/", "z": "0123456789", "b": "0123456789ABCDEF", "x+n": "0123456789"}

# Where its tables are not those of the standard: element 36 is no track there, 86 to 89 have 15 digits in place of 16, 53 has
# 8; 92 and 93 are digits.
WRONG_1987 = {36, 53, 65, 86, 87, 88, 89, 92, 93}
# Element 53 has a fixed length there, 15 four digits in place of six, 71 six in place of eight.
WRONG_1993 = {15, 53, 65, 71}


def beyond(number, row, standard, prefs, value):
    """Whether the dissector reads this element otherwise than the dialect has it."""
    digits, binary = prefs
    kind = row["class"]
    if number in (WRONG_1993 if standard["version"] == "1" else WRONG_1987) or shape(row) != shape(standard[str(number)]):
        return True
    if row["length"] and row["length"]["written"] != digits:
        return True
    if digits == "bcd" and row["length"] and row["length"]["width"] == 3 and len(value) < 2:
        # It copies four bytes to read a length of two, and stumbles where the message ends before.
        return True
    if kind in ("b", "z") and binary == "bin":
        # It writes the hexadecimal characters of bytes beyond the room it has for them, and shows what else lies there.
        return True
    if digits == "bcd" and kind in ("n", "x+n"):
        if row["encoding"] != "bcd" or row["length"] and row["length"]["counts"] == "bytes":
            return True
        # It expects the filler of an odd number in front, and a sign to be a nibble.
        return kind == "x+n" or len(value) % 2 == 1 and row["odd"].split()[0] == "trail"
    return kind == "b" and row["encoding"] != "hex"


def shape(row):
    return row["class"], row["max"], row["length"] and row["length"]["width"]


def made(rows, standard, prefs, chance):
    """A message of elements that both know."""
    fields = {}
    for path, row in rows.items():
        length = row["max"] if row["length"] is None else chance.randint(max(1, row["min"]), min(row["max"], 30))
        if row["class"] not in CHARACTERS or chance.random() < 0.7:
            continue
        sign = chance.choice("CD") if row["class"] == "x+n" else ""
        length = 2 * length if row["class"] == "b" else length - len(sign)
        value = sign + "".join(chance.choice(CHARACTERS[row["class"]]) for _ in range(length))
        if not beyond(int(path), row, standard, prefs, value):
            fields[path] = value
    return fields


def fooled(wire):
    """Whether it takes the message for another protocol: with bytes as binary data it looks whether the sixteen behind byte 4
    are one text of sixteen bytes (a byte beyond ASCII makes three), and wants hexadecimal characters then."""
    text = wire[4:20].split(b"\0")[0]
    return sum(3 if byte >= 0x80 else 1 for byte in text) == 16


def capture(path, wires):
    """Writes each message as one TCP segment (pcap, raw IP)."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        sequence = 1
        for wire in wires:
            payload = struct.pack(">H", len(wire)) + wire
            tcp = struct.pack(">HHIIBBHHH", 40000, PORT, sequence, 1, 5 << 4, 0x18, 65535, 0, 0) + payload
            address = bytes([127, 0, 0, 1])
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + address + address + tcp
            file.write(struct.pack("<IIII", 0, 0, len(ip), len(ip)) + ip)
            sequence += len(payload)


def dissected(path, prefs):
    """Each message's fields as Wireshark has them."""
    options = ["-d", f"tcp.port=={PORT},iso8583", "-o", "iso8583.len_endian:Big endian",
               "-o", f"iso8583.charset:{PREFERENCES[prefs[0]]}", "-o", f"iso8583.binencode:{BINARY[prefs[1]]}"]
    done = subprocess.run(["tshark", "-r", path, "-T", "json", *options], capture_output=True, text=True, check=True)
    return [packet["_source"]["layers"].get("iso8583") or {} for packet in json.loads(done.stdout)]


def run(binary, *arguments, stdin=""):
    done = subprocess.run([binary, "iso", *arguments], input=stdin, capture_output=True, text=True)
    return done.stdout.splitlines()


def described(binary, name):
    rows = json.loads("".join(run(binary, "specs", name, "--json")))["elements"]
    return {row["path"]: row for row in rows if row["path"].isdigit() and int(row["path"]) <= 128}


def judge(binary, folder, name, prefs, chance):
    rows = described(binary, name)
    with open(f"{folder}/{name}.jsonl") as file:
        wires = [json.loads(line)["hex"] for line in file]
    # A header that only some messages have makes those unreadable.
    wires = [wire for wire in wires if not wire.startswith("2E")]
    version = "1" if "1993" in name or name == "mastercard-clearing" else "0"
    standard = described(binary, "iso8583-1993-ascii" if version == "1" else "iso8583-1987-ascii") | {"version": version}
    kinds = [f"{version}{chance.choice('1248')}00" for _ in range(60)]
    documents = [json.dumps({"mti": kind, "fields": made(rows, standard, prefs, chance)}) for kind in kinds]
    wires += run(binary, "encode", "--spec", name, "-", stdin="\n".join(documents))
    with tempfile.TemporaryDirectory() as temporary:
        path = f"{temporary}/messages.pcap"
        capture(path, [bytes.fromhex(wire) for wire in wires])
        ours = [json.loads(line) for line in run(binary, "decode", "--spec", name, "--raw", "--unmasked", path)]
        theirs = dissected(path, prefs)
    wrong = abs(len(ours) - len(wires)) + abs(len(theirs) - len(wires)) + max(0, len(documents) - len(wires))
    values, whole, refused = 0, 0, 0
    for wire, mine, other in zip(wires, ours, theirs):
        if not other and prefs[1] == "bin" and fooled(bytes.fromhex(wire)):
            refused += 1
            continue
        wanted, complete = {"iso8583.mti": mine["mti"]}, True
        for number, value in mine["fields"].items():
            if beyond(int(number), rows[number], standard, prefs, value):
                complete = False
                break
            wanted[f"iso8583.bit{number}"] = value
        read = {field: value for field, value in other.items() if field == "iso8583.mti" or ".bit" in field and field in wanted}
        values, whole = values + len(wanted), whole + complete
        malformed = complete and "MALFORMED" in json.dumps(other)
        if read != wanted or malformed:
            wrong += 1
            differing = {field: (wanted[field], read.get(field)) for field in wanted if wanted[field] != read.get(field)}
            print(f"{name}: {wire}\n  ours and theirs: {differing}{' MALFORMED' if malformed else ''}")
    print(f"{name}: {len(wires)} messages, {whole} compared whole, {refused} not recognised, {values} values, {wrong} differences")
    return wrong


def main():
    binary, folder = sys.argv[1:3]
    chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    wrong = 0
    for name in run(binary, "specs"):
        prefs = DIALECTS[name]
        if isinstance(prefs, str):
            print(f"{name}: not read by Wireshark: {prefs}")
        else:
            wrong += judge(binary, folder, name, prefs, chance)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
