"""The pages of the site: README.md and docs/, with links that hold there."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?=\))")
_CODE = re.compile(r"^(`{3,}).*?^\1\s*$|`[^`\n]+`", re.M | re.S)


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """A link of a page to what does not exist."""

    page: str  # path in the repository
    target: str  # as it is written

    def __str__(self) -> str:
        return f"{self.page}: links to {self.target}, which does not exist; correct the link"


class Stage:
    """Copies pages into a folder for the site's builder, and with them each file that one of them links to."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        """`root`: the folder that has README.md and docs/."""
        self.folder = folder
        self._root = root
        self.broken: list[BrokenLink] = []
        self._copied: set[Path] = set()

    def copy(self, source: Path) -> None:
        """Copy a file of the repository; a page with its links rewritten and the files that they name."""
        if source in self._copied:
            return
        self._copied.add(source)
        target = self.folder / self._place(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix != ".md":
            shutil.copyfile(source, target)
            return
        target.write_text(self._rewritten(source, source.read_text(encoding="utf-8")), encoding="utf-8")

    def _rewritten(self, page: Path, text: str) -> str:
        """The text of a page with links that hold in the folder; code blocks stay as they are."""
        parts, end = [], 0
        for block in _CODE.finditer(text):
            parts += [self._links(page, text[end : block.start()]), block[0]]
            end = block.end()
        return "".join([*parts, self._links(page, text[end:])])

    def _links(self, page: Path, text: str) -> str:
        def rewrite(found: re.Match[str]) -> str:
            linked = Path(os.path.normpath(page.parent / found["path"]))
            if not linked.is_file():
                self.broken.append(BrokenLink(str(page.relative_to(self._root)), found["path"]))
                return found[0]
            self.copy(linked)
            relative = os.path.relpath(self.folder / self._place(linked), (self.folder / self._place(page)).parent)
            return relative + (found["anchor"] or "")

        return _LINK.sub(rewrite, text)

    def _place(self, source: Path) -> Path:
        """The place of a file in the site: docs/ is its root, and README.md its first page."""
        path = source.relative_to(self._root)
        if path == Path("README.md"):
            return Path("index.md")
        return path.relative_to("docs") if path.is_relative_to("docs") else Path("files") / path


def stage(folder: Path) -> list[BrokenLink]:
    """Copy README.md, docs/ and what they link to into a folder; returns the links that are broken."""
    made = Stage(folder)
    for source in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        made.copy(source)
    return made.broken
