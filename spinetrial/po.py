"""Read translation catalogues (.po) and compile them (.mo). Standard library only.

Compiled catalogues are not kept in the repository, and the `msgfmt` program is not on every machine.
`python -m spinetrial.po DIRECTORY` compiles every catalogue below a directory.
"""

import ast
import re
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

_LINE = re.compile(r'(?P<key>msgctxt|msgid_plural|msgid|msgstr(?:\[(?P<form>\d+)\])?)?\s*(?P<text>".*")$')
_NAMED = re.compile(r"%\((\w+)\)[sd]|\{(\w*)\}")


class CatalogueError(ValueError):
    """A catalogue cannot be read; the message names file and line."""


@dataclass
class Message:
    """One entry; `strings` holds the plural forms in order, a single string for an entry without plural."""

    context: str | None = None
    msgid: str | None = None
    plural: str | None = None
    strings: list[str] = field(default_factory=list)
    fuzzy: bool = False
    line: int = 0

    @property
    def key(self) -> str:
        """Return the key gettext looks up, without the plural."""
        return (self.msgid or "") if self.context is None else f"{self.context}\x04{self.msgid}"


def read(path: Path) -> list[Message]:
    """Return the entries of a .po file, the header (empty msgid) included, obsolete ones left out.

    Raises CatalogueError for a line that is neither comment nor string, and for an entry given twice.
    """
    messages: list[Message] = []
    message, part = Message(), ""

    def finish() -> None:
        if message.msgid is not None:
            messages.append(message)

    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        starts_entry = not line or line.startswith("#")
        if starts_entry and part:
            finish()
            message, part = Message(), ""
        if line.startswith("#,"):
            message.fuzzy = "fuzzy" in line
        if starts_entry:
            continue
        match = _LINE.match(line)
        if match is None or not (match["key"] or part):
            raise CatalogueError(f"{path}:{number}: not a line of a catalogue")
        key = match["key"] or part
        if match["key"] in ("msgctxt", "msgid") and part.startswith("msgstr"):
            finish()
            message = Message()
        part = key
        try:
            text = str(ast.literal_eval(match["text"]))
        except (SyntaxError, ValueError):
            raise CatalogueError(f"{path}:{number}: the quotation marks do not match") from None
        if key == "msgctxt":
            message.context = (message.context or "") + text
        elif key == "msgid":
            message.msgid = (message.msgid or "") + text
            message.line = message.line or number
        elif key == "msgid_plural":
            message.plural = (message.plural or "") + text
        else:
            form = int(match["form"] or 0)
            message.strings += [""] * (form + 1 - len(message.strings))
            message.strings[form] += text
    finish()
    seen: dict[str, int] = {}
    for each in messages:
        if each.key in seen:
            raise CatalogueError(f"{path}:{each.line}: the same entry stands in line {seen[each.key]}")
        seen[each.key] = each.line
    return messages


def compile_catalogue(messages: list[Message]) -> bytes:
    """Return the .mo form; for untranslated and fuzzy entries, left out, the source string shows."""
    pairs = {
        (m.key if m.plural is None else f"{m.key}\0{m.plural}"): "\0".join(m.strings)
        for m in messages
        if m.strings and all(m.strings) and not (m.fuzzy and m.msgid)
    }
    keys = sorted(key.encode() for key in pairs)
    originals = b"".join(key + b"\0" for key in keys)
    translations = b""
    table_of_keys, table_of_texts = [], []
    header, position = 7 * 4, 0
    first_original = header + 16 * len(keys)
    first_translation = first_original + len(originals)
    for key in keys:
        text = pairs[key.decode()].encode()
        table_of_keys += [len(key), first_original + position]
        table_of_texts += [len(text), first_translation + len(translations)]
        position += len(key) + 1
        translations += text + b"\0"
    words = [0x950412DE, 0, len(keys), header, header + 8 * len(keys), 0, 0, *table_of_keys, *table_of_texts]
    return struct.pack(f"<{len(words)}I", *words) + originals + translations


def compile_below(directory: Path) -> list[Path]:
    """Compile every .po file below a directory and return the .mo files whose content changed."""
    written = []
    for source in sorted(directory.glob("**/*.po")):
        target, content = source.with_suffix(".mo"), compile_catalogue(read(source))
        if not target.exists() or target.read_bytes() != content:
            target.write_bytes(content)
            written.append(target)
    return written


def faults(messages: list[Message]) -> list[str]:
    """Return what is missing for a complete translation, one sentence per entry.

    An entry must be translated in every plural form, not fuzzy, and use the same placeholders as its source:
    a placeholder lost in translation is a server error in one language only.
    """
    found = []
    header = next((m.strings[0] for m in messages if m.msgid == "" and m.strings), "")
    forms = int(match[1]) if (match := re.search(r"nplurals\s*=\s*(\d+)", header)) else 1
    for message in messages:
        if not message.msgid:
            continue
        where = f"line {message.line}: {message.msgid[:60]!r}"
        if message.fuzzy:
            found.append(f"{where} is marked fuzzy")
        elif not message.strings or not all(message.strings):
            found.append(f"{where} is not translated")
        elif message.plural is not None and len(message.strings) != forms:
            found.append(f"{where} needs {forms} plural form(s)")
        else:
            wanted = set(_NAMED.findall(message.msgid))
            wanted_plural = wanted | set(_NAMED.findall(message.plural or ""))
            for text in message.strings:
                if not wanted <= set(_NAMED.findall(text)) <= wanted_plural and wanted_plural != set(
                    _NAMED.findall(text)
                ):
                    found.append(f"{where} has other placeholders in its translation")
                    break
    return found


if __name__ == "__main__":
    for changed in compile_below(Path(sys.argv[1])):
        print(changed)
