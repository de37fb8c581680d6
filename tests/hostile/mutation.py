"""Files damaged by chance, but for one number always in the same way: bits, lengths, pieces, words and numbers."""

import random
import re

NUMBERS = [
    b"0", b"-1", b"1e308", b"-1e309", b"1e999", b".nan", b"nan", b"NaN", b"inf", b"Infinity", b"null", b"true", b"",
    b"1" * 19, b"9" * 30, b"9" * 400, b"9" * 5000, b"0x" + b"f" * 30, b"1_0", b"1:1", b"\xd9\xa3", b"4294967295",
    b"2147483648", b"1.5", b"1e-400", b'"', b"'", b"[1, 2]", b"{}",
]  # fmt: skip
PIECES = [
    b"\0", b"\n", b"\r", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\\u0000", b"\\ud800",
    b",", b":", b": ", b"- ", b"&a ", b"*a", b"<<: *a\n", b"!!int ", b"!!bool ", b"!!timestamp ", b"!!binary ",
    b"!!set ", b"!!python/object/apply:os.system ", b"? ", b"---\n", b"%YAML 1.1\n", b"[" * 50, b"{" * 50,
    b'{"class": ', b'"', b"'", b"#", b"|", b"\t", b"2001-02-30", b"__import__('os')", b"../../../etc/passwd",
    b"/dev/zero", b"\x1f\x8b\x08", b"PK\x03\x04", b"\x80\x04.", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0",
    b"\x93NUMPY\x02\x00",
]  # fmt: skip
NUMBER = re.compile(rb"-?\d+(\.\d+)?(e[-+]?\d+)?")


def damaged(content, seed, others=()):
    """The content with one to four changes, decided by ``seed``; ``others`` lend pieces of theirs."""
    chance = random.Random(seed)
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        chance.choice(CHANGES)(changed, chance, others)
    return bytes(changed)


def place(content, chance):
    return chance.randrange(len(content) + 1)


def cut(content, chance, others):
    del content[place(content, chance) :]


def flip(content, chance, others):
    if content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def put_byte(content, chance, others):
    if content:
        content[chance.randrange(len(content))] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))


def leave_out(content, chance, others):
    start = place(content, chance)
    del content[start : start + chance.choice((1, 2, 8, 64, 1000))]


def repeat(content, chance, others):
    start = place(content, chance)
    piece = content[start : start + chance.choice((1, 4, 30, 300))]
    content[start:start] = piece * chance.choice((1, 2, 50))


def insert(content, chance, others):
    start = place(content, chance)
    content[start:start] = chance.choice(PIECES)


def overwrite(content, chance, others):
    start, piece = place(content, chance), chance.choice(PIECES)
    content[start : start + len(piece)] = piece


def another_number(content, chance, others):
    found = list(NUMBER.finditer(content))
    if found:
        match = chance.choice(found)
        content[match.start() : match.end()] = chance.choice(NUMBERS)


def exchange_lines(content, chance, others):
    lines = content.split(b"\n")
    i, k = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[i], lines[k] = lines[k], lines[i]
    content[:] = b"\n".join(lines)


def splice(content, chance, others):
    other = chance.choice(others or [bytes(content)])
    content[place(content, chance) :] = other[place(other, chance) :]


CHANGES = (cut, flip, flip, put_byte, leave_out, repeat, insert, insert, overwrite, another_number, another_number,
           exchange_lines, splice)  # fmt: skip
