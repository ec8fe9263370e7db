#!/usr/bin/env python3
"""Builds the Java that the emulator ships: its Flink host and the fault jobs of the tests.

The jars are committed beside their sources, since a machine that runs the emulator needs a Java runtime alone and no
compiler. They are reproducible: the same sources and the same major version of javac give the same bytes. Each says in
its manifest which sources it was made of, so that `check` finds a stale one on any machine.

    build.py build               compiles and writes both jars (needs a javac from 17 on; fetches Flink to compile with)
    build.py check               fails when a committed jar is not what its sources give
    build.py variants --jar JAR --into FOLDER
                                 makes one jar of each of the fault jobs' main classes, and those that cannot run;
                                 prints {VARIANT: PATH, …}
"""

import argparse
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

# Compiled for the oldest Java that a carried Flink runs on, with the jars of the oldest Flink; runs on all of them.
RELEASE = "11"
FLINK = "1.20.5"
MANIFEST = "META-INF/MANIFEST.MF"
VARIANT_CLASS = re.compile(r"^(faultjobs/Variants\$(\w+))\.class$")


class Failure(Exception):
    """What a person is told, in one line."""


class Module:
    """A folder of sources and the jar that is made of it."""

    def __init__(self, sources, jar, main_class=None):
        self.sources = sources
        self.jar = jar
        self.main_class = main_class

    def files(self):
        return sorted(self.sources.rglob("*.java"))

    def source_hash(self):
        digest = hashlib.sha256()
        for file in self.files():
            content = file.read_bytes()
            digest.update(f"{file.relative_to(self.sources).as_posix()} {len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()


def modules():
    here = pathlib.Path(__file__).resolve().parent
    jobs = here.parents[2] / "tests" / "flink-jobs"
    return [
        Module(here / "src", here / "flink-host.jar", "flinkhost.FlinkHost"),
        Module(jobs / "src", jobs / "flink-jobs.jar"),
    ]


# --- Jars -------------------------------------------------------------------------------------------------------


def manifest(attributes):
    """A manifest; lines are at most 72 bytes, longer ones go on after a blank."""
    lines = []
    for name, value in [("Manifest-Version", "1.0"), *attributes]:
        line = f"{name}: {value}"
        lines.append(line[:70])
        lines += [f" {line[start:start + 69]}" for start in range(70, len(line), 69)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def attributes_of(jar):
    """The manifest's attributes, or none at all where there is no jar."""
    if not jar.is_file():
        return {}
    with zipfile.ZipFile(jar) as archive:
        text = archive.read(MANIFEST).decode()
    unfolded = text.replace("\r\n ", "")
    return dict(line.split(": ", 1) for line in unfolded.splitlines() if ": " in line)


def pack(attributes, entries):
    """A jar whose bytes depend on nothing but its content: sorted, stored, without a time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in [(MANIFEST, manifest(attributes)), *sorted(entries.items())]:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def replace(path, content):
    """Writes a file that others may be reading."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


# --- Compiling --------------------------------------------------------------------------------------------------


def javac():
    """The compiler and its major version, none where there is none that will do."""
    candidates = [shutil.which("javac")]
    if os.environ.get("JAVA_HOME"):
        candidates.insert(0, os.path.join(os.environ["JAVA_HOME"], "bin", "javac"))
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            done = subprocess.run([candidate, "-version"], capture_output=True, text=True)
            found = re.search(r"javac (\d+)", done.stdout + done.stderr)
            if found and int(found.group(1)) >= 17:
                return candidate, int(found.group(1))
    return None


def classpath():
    here = pathlib.Path(__file__).resolve().parent
    tools = here.parents[2] / "target" / "tools"
    done = subprocess.run(
        [sys.executable, str(here / "fetch.py"), "--into", str(tools), "--flink", FLINK],
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode != 0:
        raise Failure("Flink could not be fetched, see above")
    return os.pathsep.join(sorted(map(str, pathlib.Path(json.loads(done.stdout)["flink"][FLINK]).glob("*.jar"))))


def compiled(module, compiler, major, libraries):
    """The bytes of the module's jar."""
    with tempfile.TemporaryDirectory() as folder:
        command = [compiler, "--release", RELEASE, "-encoding", "UTF-8", "-g:source,lines", "-proc:none"]
        command += ["-Xlint:all,-options", "-Werror", "-cp", libraries, "-d", folder]
        done = subprocess.run([*command, *map(str, module.files())], stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failure(f"{module.sources} does not compile:\n{done.stderr}")
        classes = pathlib.Path(folder)
        entries = {file.relative_to(classes).as_posix(): file.read_bytes() for file in classes.rglob("*.class")}
    attributes = [("Compiler", f"javac {major}"), ("Source-Sha256", module.source_hash())]
    if module.main_class:
        attributes.append(("Main-Class", module.main_class))
    return pack(attributes, entries)


def build():
    found = javac()
    if not found:
        raise Failure("no javac from 17 on is installed")
    libraries = classpath()
    for module in modules():
        replace(module.jar, compiled(module, *found, libraries))
        print(f"built {module.jar.name}")


def check():
    found = javac()
    for module in modules():
        recorded = attributes_of(module.jar)
        if recorded.get("Source-Sha256") != module.source_hash():
            raise Failure(f"{module.jar.name} is not made of its sources: run build.py build")
        if found and recorded.get("Compiler") == f"javac {found[1]}":
            if compiled(module, *found, classpath()) != module.jar.read_bytes():
                raise Failure(f"{module.jar.name} differs from what its sources give: run build.py build")
            print(f"{module.jar.name}: sources match, rebuilt byte for byte")
        else:
            print(f"{module.jar.name}: sources match ({recorded['Compiler']} to rebuild it is not here)")


# --- Variants ---------------------------------------------------------------------------------------------------


def variants(jar, into):
    """One jar a main class, with the same classes, and those that no Flink can run."""
    with zipfile.ZipFile(jar) as archive:
        entries = {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}
    jars = {
        "missing-main-class": pack([("Main-Class", "faultjobs.Absent")], entries),
        "no-main-class": pack([], entries),
        "not-a-zip": b"This is not a jar.\n",
    }
    for found in filter(None, map(VARIANT_CLASS.match, entries)):
        name = re.sub(r"(?<=.)([A-Z])", r"-\1", found.group(2)).lower()
        jars[name] = pack([("Main-Class", found.group(1).replace("/", "."))], entries)
    answer = {}
    for name, content in sorted(jars.items()):
        path = into.resolve() / f"{name}.jar"
        replace(path, content)
        answer[name] = str(path)
    print(json.dumps(answer))


def main():
    parser = argparse.ArgumentParser(prog="build.py", description="Builds the Java that the emulator ships.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="compile and write both jars")
    commands.add_parser("check", help="fail when a committed jar is not what its sources give")
    making = commands.add_parser("variants", help="make one jar of each fault")
    making.add_argument("--jar", required=True, type=pathlib.Path)
    making.add_argument("--into", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        if arguments.command == "build":
            build()
        elif arguments.command == "check":
            check()
        else:
            variants(arguments.jar, arguments.into)
    except (Failure, OSError) as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
