"""Why a distribution is refused: file, line and reason. No name of a term is ever repeated here or in a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext

from spinetrial.protocol.text import gettext_noop as _

#: A page lists so many; the rest is counted.
SHOWN = 20

REASONS: dict[str, str] = {
    # the package
    "not_there": _("There is no such file or folder."),
    "bad_zip": _("This is no readable ZIP archive, or it is cut short."),
    "unsafe_name": _("A name in the archive leads out of it. Use the archive as the publisher delivered it."),
    "link": _("This is a link and no file."),
    "not_a_file": _("This is no ordinary file."),
    "encrypted": _("The archive asks for a password. Unpack it first and pack it again without one."),
    "twice_in_zip": _("The archive holds this name twice."),
    "too_many": _("More than %(limit)d files: this is no MedDRA distribution."),
    "too_large": _("Larger than %(limit)d MB unpacked: this is no file of a MedDRA distribution."),
    "no_folder": _("No folder holds the files of a distribution. It needs: %(names)s."),
    "missing": _("This file is needed and missing."),
    "several": _("More than one folder holds a distribution. Give the folder of one language and version."),
    # a file
    "nul": _("A NUL byte: the file is damaged or is UTF-16."),
    "control": _("A control character: the file is damaged."),
    "encoding": _("These bytes are neither UTF-8 nor %(encoding)s."),
    "reencoded": _("Characters were lost or garbled when the file was converted. Use it as delivered."),
    "mixed": _(
        "This file is in another encoding (%(one)s) than the others (%(other)s): it was converted or is damaged."
    ),
    "wrong_language": _("These names are not in %(language)s."),
    "empty": _("The file is empty."),
    "long_line": _("The line is longer than %(limit)d characters."),
    "fields": _("%(found)d fields instead of %(wanted)d."),
    "code": _("A code is eight digits."),
    "no_name": _("The name is empty."),
    "long_name": _("The name is longer than %(limit)d characters."),
    "flag": _("The flag is neither %(wanted)s."),
    "order": _("The place is no number from 1 on, or stands twice."),
    # between lines and files
    "twice": _("This stands already in line %(line)d."),
    "unknown": _("Its code %(what)s is not in %(file)s."),
    "no_path": _("This PT has no line in mdhier.asc."),
    "primary": _("This PT has %(found)d primary paths in mdhier.asc instead of one."),
    "primary_soc": _("The primary SOC is another one than in pt.asc."),
    "link_missing": _("This step of the hierarchy is not in %(file)s."),
    "path_missing": _("This link is in no line of mdhier.asc."),
    "no_own_llt": _("No LLT has the code of this PT."),
    "own_llt": _("The LLT with the code of a PT belongs to another PT."),
    "no_order": _("This SOC has no place in intl_ord.asc."),
    # the release
    "no_release": _("meddra_release.asc is missing, so the version is what the person who imported it said."),
    "say_version": _("meddra_release.asc is missing: say which version this is."),
    "release": _("The file does not say version and language."),
    "other_version": _("The file says version %(found)s, not %(wanted)s."),
    "other_language": _("The file says %(found)s, not %(wanted)s."),
    "loaded": _("This version is loaded in this language already. A loaded dictionary is never replaced."),
    "other_structure": _(
        "Its codes or their hierarchy are not those of the same version in another language: a file is damaged or of "
        "another version."
    ),
    "optional_missing": _("This file is missing, so it could not be compared."),
    "no_japanese": _("%(count)d terms have no Japanese name and keep the English one."),
    # the job
    "no_right": _("Whoever asked for it may no longer import dictionaries."),
    "gone": _("The uploaded file is gone. Upload it again."),
    "crashed": _("The import broke off %(count)d times. Ask the administrator to look at the log."),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """`line` 0: the file as a whole; `file` "": the package."""

    file: str
    line: int
    code: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def words(self) -> str:
        reason = gettext(REASONS[self.code]) % self.values
        if self.line:
            return gettext("%(file)s, line %(line)d: %(reason)s") % {
                "file": self.file,
                "line": self.line,
                "reason": reason,
            }
        return f"{self.file}: {reason}" if self.file else reason

    def stored(self) -> list[Any]:
        """For a JSON column."""
        return [self.file, self.line, self.code, dict(self.values)]


def words_of(stored: Sequence[Sequence[Any]]) -> list[str]:
    """The texts of stored problems in the reader's language."""
    return [Problem(*each).words() for each in stored]


class MeddraRefused(Exception):
    """Nothing was imported. `problems`: the first of them; `total`: how many there are."""

    def __init__(self, problems: Sequence[Problem], total: int | None = None) -> None:
        super().__init__("; ".join(problem.words() for problem in problems[:3]))
        self.problems = list(problems[:SHOWN])
        self.total = len(problems) if total is None else total


class Found:
    """Collects problems; `stop()` refuses once there are any."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.total = 0

    def add(self, file: str, line: int, code: str, /, **values: Any) -> None:
        self.total += 1
        if len(self.problems) < SHOWN:
            self.problems.append(Problem(file, line, code, values))

    def stop(self) -> None:
        if self.total:
            raise MeddraRefused(self.problems, self.total)
