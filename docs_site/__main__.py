"""`python -m docs_site [DIR]`: build the documentation site in DIR, by default build/site; a warning fails it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from docs_site.pages import ROOT, stage

CONFIGURATION = Path(__file__).with_name("zensical.toml")


def main(site: Path) -> int:
    """Build the site; returns the exit code."""
    with TemporaryDirectory() as scratch:
        work = Path(scratch)
        broken = stage(work / "pages")
        for link in broken:
            print(link, file=sys.stderr)
        shutil.copyfile(CONFIGURATION, work / CONFIGURATION.name)
        command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict"]
        built = subprocess.run(command, cwd=work, check=False).returncode
        if broken or built:
            return 1
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(work / "site", site)
    print(f"{site}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site"))
