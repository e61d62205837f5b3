"""Where the suites come from: packages by the machine's own package clients, kept under `build/conformance`.

pip checks each source distribution against the hash given here, apt each package against the signed index of the archive that the
machine is set up for. Nothing is installed outside `build/`, and nothing needs root.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests import engines
from tests.conformance.suite import DownloadError, SuiteError

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "conformance"
_REQUIREMENTS = ROOT / "deploy" / "requirements-conformance.txt"
_APT = Path("/etc/apt")


def sdist(name: str, version: str, sha256: str) -> Path:
    """The unpacked source distribution of a Python package."""
    unpacked = CACHE / f"{name}-{version}"
    if not unpacked.exists():
        archives = CACHE / "archives"
        archives.mkdir(parents=True, exist_ok=True)
        wanted = archives / f"{name}.txt"
        wanted.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
        said = f"{name} {version}"
        # pip prepares the metadata too, for which some projects build: that is where the time goes.
        options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "--dest", str(archives)]
        _run([str(drivers()), "-m", "pip", "download", "-q", *options, "-r", str(wanted)], f"pip could not download the source of {said}")
        _unpack(archives / f"{name}-{version}.tar.gz", unpacked)
    return unpacked


def drivers() -> Path:
    """The interpreter of an environment with all drivers, and pytest for their suites."""
    directory = CACHE / "drivers"
    python, installed = directory / "bin" / "python", directory / ".installed"
    state = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    if not installed.exists() or installed.read_text() != state:
        shutil.rmtree(directory, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(directory)], "no environment for the drivers")
        options = ["install", "-q", "--require-hashes", "-r", str(_REQUIREMENTS)]
        _run([str(python), "-m", "pip", *options], "pip could not install the drivers")
        installed.write_text(state)
    return python


def debian_source(package: str, version: str) -> Path:
    """The unpacked original source of a Debian source package."""
    unpacked = CACHE / f"{package}-{version}"
    if not unpacked.exists():
        _unpack(_debian_archive(package, version), unpacked)
    return unpacked


def npm_modules(*packages: str) -> Path:
    """The `node_modules` with these packages, `name@version` each, and all that they need. npm checks what it gets by its index."""
    directory = CACHE / f"npm-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:8]}"
    if not directory.exists():
        unfinished = directory.with_name(f"{directory.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(unfinished)]
        _run(["npm", "install", *options, *packages], f"npm could not install {', '.join(packages)}")
        unfinished.rename(directory)
    return directory / "node_modules"


def debian_packages(*packages: str) -> Path:
    """A folder in which these Debian packages, and others of ours, are unpacked as they would be in `/`; none is configured."""
    root, archives = CACHE / "debian", CACHE / "archives"
    missing = [package for package in packages if not (root / f".{package}").exists()]
    if missing:
        apt = _apt(archives / "apt")
        _run(["apt-get", *apt, "-q", "download", *missing], "packages could not be downloaded", directory=archives)
    for package in missing:
        [*_, archive] = sorted(archives.glob(f"{package}_*.deb"))
        _run(["dpkg-deb", "--extract", str(archive), str(root)], f"{archive} could not be unpacked")
        (root / f".{package}").touch()
    return root


def postgresql_source() -> Path:
    """PostgreSQL's source tree, of the version that is installed, with `pg_regress` and `libpq_pipeline` built."""
    version = _installed_version()
    tree = CACHE / f"postgresql-{version}"
    if (tree / ".built").exists():
        return tree
    if not tree.exists():
        _unpack(_debian_archive("postgresql-15", version), tree)
    log = tree / "build.log"
    # The server is Debian's; what is built here are programs of the tests, which need no library that may be missing.
    commands: list[Sequence[str]] = [("./configure", "-q", "--without-readline", "--without-zlib", "--without-icu")]
    commands += [("make", "-s", "-C", "src/backend", "generated-headers")]
    parts = ("port", "common", "interfaces/libpq", "test/regress", "test/modules/libpq_pipeline")
    commands += [("make", "-s", "-C", f"src/{part}") for part in parts]
    with log.open("ab") as output:
        for command in commands:
            if subprocess.run(command, cwd=tree, stdout=output, stderr=output, check=False).returncode:
                raise SuiteError(f"{' '.join(command)} failed: see {log}")
    (tree / ".built").touch()
    return tree


def _installed_version() -> str:
    said = subprocess.run([engines.DEBIAN15 / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+\.\d+", said)
    if found is None:
        raise SuiteError(f"the server does not tell its version: {said!r}")
    return found[0]


def _debian_archive(package: str, version: str) -> Path:
    """The original archive of a Debian source package, of this version or of another one that is offered."""
    archives = CACHE / "archives"
    kept = sorted(archives.glob(f"{package}_{version}.orig.tar.*"))
    if not kept:
        apt = _apt(archives / "apt")
        listed = _run(["apt-cache", *apt, "showsrc", package], f"apt knows no source package {package}")
        offered = [line.split()[1] for line in listed.splitlines() if line.startswith("Version: ")]
        # A mirror keeps few versions: where the server's own is gone, its nearest tests are better than none.
        matching = [found for found in offered if found.startswith(f"{version}-")] or offered
        problems = []
        for found in matching:
            try:
                _run(["apt-get", *apt, "-q", "source", "--download-only", f"{package}={found}"], "", directory=archives)
                break
            except SuiteError as error:
                problems.append(str(error))
        kept = sorted(archives.glob(f"{package}_*.orig.tar.*"))
        if not kept:
            raise DownloadError(f"no version of the source package {package} could be downloaded: {'; '.join(problems)}")
    return kept[0]


def _apt(directory: Path) -> list[str]:
    """Options by which apt reads the machine's own archives, with their source packages, into a directory of ours; their lists are read."""
    (directory / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    parts = directory / "sources.list.d"
    parts.mkdir(exist_ok=True)
    for listed in (_APT / "sources.list.d").glob("*.sources"):
        (parts / listed.name).write_text(re.sub(r"^Types:.*$", "Types: deb deb-src", listed.read_text(), flags=re.MULTILINE))
    for listed in (_APT / "sources.list", *(_APT / "sources.list.d").glob("*.list")):
        if listed.exists():
            both = re.sub(r"^deb\s(.*)$", r"deb \1\ndeb-src \1", listed.read_text(), flags=re.MULTILINE)
            (parts / f"{listed.stem}.list").write_text(both)
    settings = {"Etc::sourcelist": "/dev/null", "Etc::sourceparts": parts, "State::lists": directory / "lists", "Cache": directory}
    options = [word for name, value in settings.items() for word in ("-o", f"Dir::{name}={value}")]
    _run(["apt-get", *options, "-q", "update"], "apt-get could not read the lists of packages")
    return options


def _unpack(archive: Path, to: Path) -> None:
    """The archive's only folder becomes `to`, complete or not at all."""
    unfinished = to.with_name(f"{to.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with tarfile.open(archive) as opened:
        opened.extractall(unfinished, filter="data")
    [folder] = unfinished.iterdir()
    folder.rename(to)
    unfinished.rmdir()


def _run(command: list[str], problem: str, *, directory: Path | None = None) -> str:
    result = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DownloadError(f"{problem}: {result.stderr.strip()[-500:]}")
    return result.stdout
