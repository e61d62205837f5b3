"""pgjdbc's own tests (Java, a protocol implementation of its own). Needs a JDK."""

import os
import shutil
from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import Outcomes, SuiteError, logged, plain_environment, reported

_PACKAGE = ("libpgjava", "42.5.5")
_PACKAGES = (
    "libpostgresql-jdbc-java", "junit4", "junit5", "libhamcrest-java", "libapiguardian-java", "libopentest4j-java",
    "libopentest4j-reporting-java", "libpicocli-java", "libunivocity-parsers-java", "libscram-java",
)  # fmt: skip
_JARS = (
    "postgresql", "junit4", "hamcrest", "apiguardian-api", "opentest4j", "opentest4j-reporting-events", "picocli", "univocity-parsers",
    "scram-client", "scram-common", "junit-jupiter-api", "junit-jupiter-params", "junit-jupiter-engine", "junit-vintage-engine",
    "junit-platform-commons", "junit-platform-console", "junit-platform-engine", "junit-platform-launcher", "junit-platform-reporting",
)  # fmt: skip
# What a file names that cannot be compiled: libraries for tests without a server, which Debian does not have.
_LACKING = ("se.jiderhamn", "webcompere", "StubEnvironment", "org.osgi")
# They take minutes of arithmetic, and no server.
_WITHOUT = r".*\.(AsciiStringInterner|BigDecimalByteConverter2?)Test"


class Pgjdbc:
    name = "pgjdbc"
    versions = (15, 18)
    databases = ("test",)

    def prepare(self) -> None:
        source = downloads.debian_source(*_PACKAGE) / "src" / "test" / "java"
        downloads.debian_packages(*_PACKAGES)
        if (self._compiled() / ".complete").exists():
            return
        if shutil.which("javac") is None:
            raise SuiteError("no Java compiler (Debian: apt-get install default-jdk-headless)")
        # The files named Suite list tests, which are found without them.
        files = [file for file in source.rglob("*.java") if not file.name.endswith("Suite.java")]
        files = [file for file in files if not any(name in file.read_text() for name in _LACKING)]
        command = ["javac", "-nowarn", "-proc:none", "-encoding", "UTF-8", "-d", str(self._compiled()), "-cp", self._classpath()]
        if logged([*command, *map(str, files)], source / "build.log", plain_environment()):
            raise SuiteError(f"javac could not compile it: see {source / 'build.log'}")
        (self._compiled() / ".complete").touch()

    def run(self, side: Side, directory: Path) -> Outcomes:
        side.server.ensure_database("test")
        settings = {"server": side.host, "port": side.port, "database": "test", "username": side.user, "password": side.password}
        settings |= {"privilegedUser": side.user, "privilegedPassword": side.password}
        settings |= {"build.properties.relative.path": downloads.debian_source(*_PACKAGE), "user.timezone": "UTC"}
        command = ["java", *(f"-D{name}={value}" for name, value in settings.items()), "-cp", self._classpath()]
        command += ["org.junit.platform.console.ConsoleLauncher", f"--scan-classpath={self._compiled()}", f"--exclude-classname={_WITHOUT}"]
        command += [f"--reports-dir={directory}", "--details=tree", "--disable-banner", "--disable-ansi-colors"]
        logged(command, directory / "junit.log", plain_environment(), directory=directory)
        outcomes: Outcomes = {}
        for report in sorted(directory.glob("TEST-*.xml")):
            outcomes |= reported(report)
        if not outcomes:
            raise SuiteError(f"it ran no test: see {directory / 'junit.log'}")
        return outcomes

    def _compiled(self) -> Path:
        return downloads.CACHE / "pgjdbc"

    def _classpath(self) -> str:
        folder = downloads.debian_packages(*_PACKAGES) / "usr" / "share" / "java"
        resources = downloads.debian_source(*_PACKAGE) / "src" / "test" / "resources"
        return os.pathsep.join(map(str, (self._compiled(), resources, *(folder / f"{jar}.jar" for jar in _JARS))))
