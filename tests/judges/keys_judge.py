#!/usr/bin/env python3
"""Other implementations as judges of keys, MACs, PIN blocks, DUKPT and key blocks.

usage: keys_judge.py cases SEED COUNT   writes COUNT cases of each kind, one JSON object a line, with their answers
       keys_judge.py check FILE         reads what isthmus made of them; exits 1 where something is not readable

PyPI psec makes and reads MACs, PIN blocks and key blocks; PyPI dukpt derives TDES keys; PyPI cryptography makes CMACs.
The ECB method of UnionPay is put together here from psec's TDES. Nobody else's AES DUKPT stands here: the vectors of
its standard do that in the unit tests.
"""
import json
import random
import sys
import warnings

warnings.filterwarnings("ignore")
import dukpt
from bitstring import BitArray
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from psec import des, mac, pinblock, tools, tr31

draw = random.Random()


def key(length):
    return draw.randbytes(length)


def digits(shortest, longest):
    return "".join(draw.choice("0123456789") for _ in range(draw.randint(shortest, longest)))


def pan():
    return "9999" + digits(9, 15)  # psec wants 13 digits and more


def check_value():
    own = key(draw.choice([16, 24]))
    return {"key": own.hex(), "value": des.generate_kcv(own, 3).hex()}


def union_pay(own, data):
    total = b"\0" * 8
    for start in range(0, len(data), 8):
        total = tools.xor(total, data[start:start + 8].ljust(8, b"\0"))
    text = total.hex().upper().encode()
    first = des.encrypt_tdes_ecb(own, text[:8])
    return des.encrypt_tdes_ecb(own, tools.xor(first, text[8:])).hex().upper().encode()[:8]


def message_mac():
    method = draw.choice(["x9.9", "x9.19", "unionpay-ecb", "cmac"])
    data, padding = draw.randbytes(draw.randint(1, 300)), draw.choice([1, 2])
    own = key({"x9.9": draw.choice([8, 16, 24]), "cmac": draw.choice([16, 24, 32])}.get(method, 16))
    if method == "x9.9":
        made = mac.generate_cbc_mac(own, data, padding, 8, mac.Algorithm.DES)
    elif method == "x9.19":
        made = mac.generate_retail_mac(own[:8], own[8:], data, padding)
    elif method == "unionpay-ecb":
        made = union_pay(own, data)
    else:
        cmac = CMAC(algorithms.AES(own))
        cmac.update(data)
        made = cmac.finalize()
    return {"method": method, "padding": padding, "key": own.hex(), "data": data.hex(), "mac": made.hex()}


def pin_block():
    number, pin, card = draw.choice([0, 3, 4]), digits(4, 12), pan()
    own = key(draw.choice([16, 24, 32] if number == 4 else [16, 24]))
    if number == 4:
        block = pinblock.encipher_pinblock_iso_4(own, pin, card)
    else:
        clear = {0: pinblock.encode_pinblock_iso_0, 3: pinblock.encode_pinblock_iso_3}[number](pin, card)
        block = des.encrypt_tdes_ecb(own, clear)
    return {"format": number, "key": own.hex(), "pin": pin, "pan": card, "block": block.hex()}


def derived_key():
    # The judge passes over all but the lowest nine bits of a counter; the standard's vectors have the others.
    counter = draw.randrange(1, 1 << 9)
    base, terminal = key(16), draw.getrandbits(59)
    serial = (terminal << 21 | counter).to_bytes(10, "big")
    server, number = dukpt.Server(bdk=base), BitArray(bytes=serial)
    made = server.derive_key(server.generate_ipek(number), number)
    purpose = draw.choice(["pin", "terminal_mac", "host_mac"])
    mask = {"pin": dukpt.DUKPT._pin_mask, "terminal_mac": dukpt.DUKPT._mac_req_mask,
            "host_mac": dukpt.DUKPT._mac_resp_mask}[purpose]
    return {"base": base.hex(), "serial": serial.hex(), "purpose": purpose, "key": (made ^ mask).bytes.hex()}


def key_block():
    version, usage = draw.choice("BD"), draw.choice(["P0", "M3", "M6", "B0", "K0"])
    protection = key(draw.choice([16, 24] if version == "B" else [16, 24, 32]))
    algorithm = "T" if version == "B" or draw.random() < 0.3 else "A"
    lengths = [16, 24] if algorithm == "T" else [length for length in (16, 24, 32) if length <= len(protection)]
    own = key(draw.choice(lengths))
    header = tr31.Header(version, usage, algorithm, draw.choice("BNX"), "00", draw.choice("ENS"))
    if draw.random() < 0.5:
        header.blocks["KS"] = draw.randbytes(10).hex().upper()
    block = tr31.wrap(protection, header, own)
    return {"protection": protection.hex(), "usage": usage, "algorithm": algorithm, "key": own.hex(), "block": block}


CASES = {"check_value": check_value, "mac": message_mac, "pin_block": pin_block, "dukpt": derived_key,
         "key_block": key_block}


def cases(seed, count):
    draw.seed(seed)
    for kind, make in CASES.items():
        for _ in range(count):
            print(json.dumps({"kind": kind, **make()}))


def is_read(case):
    if case["kind"] == "key_block":
        header, own = tr31.unwrap(bytes.fromhex(case["protection"]), case["block"])
        return own.hex() == case["key"] and header.key_usage == case["usage"]
    own, block = bytes.fromhex(case["key"]), bytes.fromhex(case["block"])
    if case["format"] == 4:
        return pinblock.decipher_pinblock_iso_4(own, block, case["pan"]) == case["pin"]
    decode = {0: pinblock.decode_pinblock_iso_0, 3: pinblock.decode_pinblock_iso_3}[case["format"]]
    return decode(des.decrypt_tdes_ecb(own, block), case["pan"]) == case["pin"]


def check(path):
    read, wrong = 0, 0
    for line in open(path):
        case = json.loads(line)
        read += 1
        try:
            if not is_read(case):
                raise ValueError("reads as something else")
        except Exception as error:  # any refusal of the judge is a difference
            wrong += 1
            print(f"{case['kind']}: {error}: {line.strip()}")
    print(f"{read} of our blocks read by the judges, {wrong} differ")
    return 1 if wrong or not read else 0


if sys.argv[1] == "cases":
    cases(int(sys.argv[2]), int(sys.argv[3]))
else:
    sys.exit(check(sys.argv[2]))
