#!/usr/bin/env python3
"""Another implementation as a judge: PyPI pyiso8583 writes messages that isthmus has to read, and reads messages that
isthmus writes.

usage: pyiso8583_judge.py ISTHMUS_BINARY [SEED]

The lengths and encodings of elements come from `isthmus iso specs NAME --json`; how they become bytes is the judge's own
code. Left out is what it has no word for: signed packed amounts, bitmaps beyond the second, and headers of other kinds than
fixed bytes. Prints a line for every difference and exits 1 where there was one.
"""
import json
import random
import subprocess
import sys

import iso8583

MTI_AND_BITMAP = {  # how a dialect writes message type and bitmap; headers as bytes of an ordinary message
    "iso8583-1987-ascii": ("ascii", "ascii", ""), "iso8583-1987-bcd": ("b", "b", ""),
    "iso8583-1993-ascii": ("ascii", "ascii", ""), "iso8583-1993-bcd": ("b", "b", ""),
    "iso8583-2003-ascii": ("ascii", "ascii", ""), "iso8583-2003-bcd": ("b", "b", ""),
    "unionpay-pos": ("b", "b", "6000030000603100310100"), "unionpay-interchange": ("ascii", "b", ""),
    "visa-base1": ("b", "b", "16010201020000001234560000000000000000000000"),
    "mastercard-authorization": ("cp037", "b", ""), "mastercard-clearing": ("ascii", "b", ""),
    "amex-1993": ("cp037", "b", ""), "jcb": ("cp037", "b", ""), "as2805": ("b", "b", ""),
    "postilion": ("ascii", "b", ""), "base24": ("ascii", "ascii", "49534F303235303030303535"),
}
CODECS = {"ascii": "ascii", "ebcdic-037": "cp037", "ebcdic-500": "cp500", "utf-8": "utf-8", "gbk": "gbk"}
CHARACTERS = {"n": "0123456789", "a": "ABCxyz", "an": "0123456789ABCxyz", "ans": "0123456789 ABCxyz/-.",
              "any": "0123456789 GHIxyz/-.", "ns": "0123456789-/", "z": "0123456789D", "b": "0123456789ABCDEF"}


def described(row):
    """The judge's description of an element, or None where it has none."""
    if row["class"] not in CHARACTERS:
        return None
    packed = row["encoding"] == "bcd"
    spec = {"data_enc": "b" if packed or row["encoding"] == "raw" else CODECS[row["charset"]], "len_enc": "ascii",
            "len_type": 0, "max_len": row["max"], "len_count": "nibbles" if packed else "bytes", "desc": ""}
    if row["encoding"] == "hex":
        spec["max_len"] *= 2
    if packed:
        side, filler = row["odd"].split()
        spec["left_pad" if side == "lead" else "right_pad"] = filler
    length = row["length"]
    if length is None:
        return spec
    if packed and length["counts"] == "bytes":
        spec["len_count"] = "bytes"
        spec["max_len"] //= 2
    kinds = {"bcd": "bcd", "binary": "b"}
    spec["len_enc"] = kinds.get(length["written"]) or CODECS[length["written"]]
    spec["len_type"] = (length["width"] + 1) // 2 if length["written"] == "bcd" else length["width"]
    return spec


def value(row, chance):
    length = row["max"] if row["length"] is None else chance.randint(max(1, row["min"]), min(row["max"], 30))
    if row["encoding"] == "bcd" and row["length"] and row["length"]["counts"] == "bytes":
        length += length % 2
    if row["class"] == "b":
        length *= 2
    return "".join(chance.choice(CHARACTERS[row["class"]]) for _ in range(length))


def run(binary, action, name, *options, stdin):
    done = subprocess.run([binary, "iso", action, "--spec", name, *options, "-"], input=stdin, capture_output=True, text=True)
    return done.stdout.splitlines(), done.stderr


def judge(binary, name, chance):
    rows = json.loads(subprocess.run([binary, "iso", "specs", name, "--json"], capture_output=True, text=True).stdout)
    rows = {row["path"]: row for row in rows["elements"] if "." not in row["path"] and row["path"].isdigit()}
    mti, bitmap, header = MTI_AND_BITMAP[name]
    spec = {path: described(row) for path, row in rows.items() if int(path) <= 128}
    spec = {path: field for path, field in spec.items() if field}
    spec["h"] = {"data_enc": "b", "len_enc": "ascii", "len_type": 0, "max_len": len(header) // 2, "desc": ""}
    spec["t"] = {"data_enc": mti, "len_enc": "ascii", "len_type": 0, "max_len": 2 if mti == "b" else 4, "desc": ""}
    for block in "p1":
        spec[block] = {"data_enc": bitmap, "len_enc": "ascii", "len_type": 0, "max_len": 8 if bitmap == "b" else 16, "desc": ""}
    for number in range(2, 129):
        spec.setdefault(str(number), {"data_enc": "ascii", "len_enc": "ascii", "len_type": 2, "max_len": 0, "desc": ""})
    messages = []
    for _ in range(40):
        fields = {path: value(rows[path], chance) for path in rows if int(path) <= 128 and described(rows[path])
                  and not (path in ("65", "1")) and chance.random() < 0.25}
        messages.append((f"0{chance.choice('1248')}00", fields))
    wrong = 0
    wires = []
    for kind, fields in messages:
        wire, _ = iso8583.encode({"h": header, "t": kind, **fields}, dict(spec))
        if name == "visa-base1":  # the header tells the length of the whole message
            wire[3:5] = len(wire).to_bytes(2, "big")
        wires.append(wire.hex().upper())
    out, err = run(binary, "decode", name, "--raw", "--unmasked", stdin="\n".join(wires))
    for wire, (kind, fields), line in zip(wires, messages, out):
        read = json.loads(line)
        if read.get("mti") != kind or read.get("fields") != fields:
            wrong += 1
            print(f"{name}: reading {wire}\n  wanted {fields}\n  read   {read}")
    documents = "\n".join(out)
    out, err = run(binary, "encode", name, stdin=documents)
    for wire, line in zip(wires, out):
        if wire != line:
            wrong += 1
            print(f"{name}: writing gave {line}\n  for {wire}")
        read, _ = iso8583.decode(bytes.fromhex(line), dict(spec))
        if not read:
            wrong += 1
    if len(out) != len(wires):
        wrong += 1
        print(f"{name}: {len(out)} of {len(wires)} messages written: {err}")
    print(f"{name}: {len(wires)} messages, {wrong} differences")
    return wrong


def main():
    binary, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    chance = random.Random(seed)
    sys.exit(1 if sum(judge(binary, name, chance) for name in MTI_AND_BITMAP) else 0)


if __name__ == "__main__":
    main()
