#!/usr/bin/env python3
"""Records what real Flink answers when a job fails, each way that tests/exceptions/src knows.

    record.py [--only NAME]... [--flink RELEASE]...

Compiles the job (a javac from 17 on), runs it on each Flink that `cargo xtask e2e --flink` has put under target/tools, and
writes recordings/RELEASE/NAME.json: the answer to `/jobs/:id/exceptions`, or, where the job was refused, the one to
`/jars/:id/run`. The recordings are committed; `crates/managed-flink/src/tests/causes.rs` holds what has to be
made of each.
"""

import argparse
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOOLS = ROOT / "target" / "tools"
HOST = ROOT / "crates" / "emulator" / "flink-host" / "flink-host.jar"
RELEASES = ["1.20.5", "2.2.1", "2.3.0"]
MAIN = "com.example.orders.OrdersJob"
# Classes that are compiled with and not shipped.
LEFT_OUT = {"com/example/orders/Left.class"}
SECONDS = 30

PLAIN = """main-throws missing-property not-serializable erased-types duplicate-uid bad-option
    no-timestamps null-key kryo slots network-buffers null-pointer class-cast number-format array-index division
    stack-overflow missing-class missing-method heap direct-memory wrapped open-throws refused unknown-host no-tls reset
    read-timeout http-timeout checkpoint-tolerance checkpoint-expired state-too-large""".split()
# From a savepoint of the job "stateful".
FROM_STATE = "key-type state-type removed-operator max-parallelism".split()
# Of a job that is well.
AROUND = ["lost-task-manager"]

SETTINGS = {
    "slots": {"slot.request.timeout": "3 s"},
    "network-buffers": {"taskmanager.memory.network.min": "1m", "taskmanager.memory.network.max": "1m"},
    "checkpoint-tolerance": {"execution.checkpointing.tolerable-failed-checkpoints": "0"},
    "checkpoint-expired": {
        "execution.checkpointing.tolerable-failed-checkpoints": "0",
        "execution.checkpointing.timeout": "1 s",
    },
    "state-too-large": {
        "execution.checkpointing.tolerable-failed-checkpoints": "0",
        "execution.checkpointing.storage": "jobmanager",
    },
}
SLOTS = {"network-buffers": 8}
OPENED = """java.lang java.net java.io java.nio sun.nio.ch java.lang.reflect java.text java.time java.util
    java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks sun.net.util""".split()


class Cluster:
    """One MiniCluster in a JVM of its own, which ends with this object."""

    def __init__(self, release, directory, name):
        java = next(TOOLS.glob("java-*/bin/java"))
        jars = [str(HOST), *sorted(str(jar) for jar in (TOOLS / f"flink-{release}").glob("*.jar"))]
        flags = ["-XX:+UseSerialGC", "-Xss512k", "-Xmx192m", "-XX:MaxDirectMemorySize=128m", "-Xlog:disable"]
        flags += [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
        flags += ["-Djava.security.manager=allow"]
        self.process = subprocess.Popen(
            [str(java), *flags, "-cp", ":".join(jars), "flinkhost.FlinkHost"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=directory,
        )
        settings = {
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.port": "0",
            "web.refresh-interval": "100",
            "web.upload.dir": f"{directory}/upload",
            "io.tmp.dirs": f"{directory}/tmp",
            "cluster.registration.error-delay": "200 ms",
            "cluster.intercept-user-system-exit": "THROW",
            "taskmanager.memory.network.min": "16m",
            "taskmanager.memory.network.max": "16m",
            "taskmanager.memory.managed.size": "16m",
            "parallelism.default": "2",
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": "2147483647",
            "restart-strategy.fixed-delay.delay": "1 s",
            "execution.checkpointing.dir": f"file://{directory}/checkpoints",
            "execution.checkpointing.interval": "500 ms",
            **SETTINGS.get(name, {}),
        }
        self.ask(f"slots {SLOTS.get(name, 4)}")
        for key, value in settings.items():
            self.ask(f"set {key} {value}")
        self.address = self.ask("start").split(" ", 1)[1]

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("failed"):
            raise RuntimeError(f"{command}: {answer or 'no answer'}")
        return answer

    def http(self, path, body=None, headers=None):
        request = urllib.request.Request(self.address + path, data=body, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def upload(self, jar):
        boundary = "boundary"
        head = (f'--{boundary}\r\nContent-Disposition: form-data; name="jarfile"; filename="orders.jar"\r\n'
                "Content-Type: application/java-archive\r\n\r\n")
        body = head.encode() + jar + f"\r\n--{boundary}--\r\n".encode()
        self.until("/overview", lambda _: True)  # A cluster that has just come up elects its leader still.
        status, answer = self.http("/jars/upload", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        assert status == 200, answer
        return answer["filename"].rsplit("/", 1)[1]

    def run(self, jar, breakage, savepoint=None):
        body = {"entryClass": MAIN, "programArgsList": [breakage]}
        if savepoint:
            body["savepointPath"] = savepoint
        return self.http(f"/jars/{jar}/run", json.dumps(body).encode(), {"Content-Type": "application/json"})

    def until(self, path, is_there, seconds=SECONDS):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status, answer = self.http(path)
            if status == 200 and is_there(answer):
                return answer
            time.sleep(0.1)
        raise RuntimeError(f"{path} has not come to it in {seconds} s: {answer}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)


def compiled(directory):
    """The JAR, as its owner would ship it: with a class too few, and with a later version of a dependency."""
    classpath = str(TOOLS / "flink-1.20.5" / "*")
    for sources in ["src", "later"]:
        files = [str(file) for file in sorted((HERE / sources).rglob("*.java"))]
        command = ["javac", "--release", "11", "-nowarn", "-cp", classpath, "-d", directory, *files]
        subprocess.run(command, check=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        for file in sorted(pathlib.Path(directory).rglob("*.class")):
            name = file.relative_to(directory).as_posix()
            if name not in LEFT_OUT:
                archive.write(file, name)
    return buffer.getvalue()


def has_failed(answer):
    return bool(answer["exceptionHistory"]["entries"])


def record(release, name, jar):
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(release, directory, name)
        try:
            jar_id = cluster.upload(jar)
            savepoint = savepoint_of(cluster, jar_id, directory) if name in FROM_STATE else None
            breakage = "healthy" if name in AROUND else name
            status, answer = cluster.run(jar_id, breakage, savepoint)
            if status != 200:
                return {"request": "run", "status": status, "body": without(answer, directory)}
            job = answer["jobid"]
            if name in AROUND:
                cluster.until(f"/jobs/{job}", lambda it: it["state"] == "RUNNING" and is_at_work(it))
                cluster.ask("lose-task-manager")
            exceptions = cluster.until(f"/jobs/{job}/exceptions", has_failed)
            return {"request": "exceptions", "status": 200, "body": without(exceptions, directory)}
        finally:
            cluster.close()


def is_at_work(job):
    return all(vertex["tasks"]["RUNNING"] == vertex["parallelism"] for vertex in job["vertices"])


def savepoint_of(cluster, jar_id, directory):
    status, answer = cluster.run(jar_id, "stateful")
    assert status == 200, answer
    job = answer["jobid"]
    cluster.until(f"/jobs/{job}/checkpoints", lambda it: it["counts"]["completed"] > 0)
    body = json.dumps({"targetDirectory": f"file://{directory}/savepoints", "drain": False}).encode()
    _, answer = cluster.http(f"/jobs/{job}/stop", body, {"Content-Type": "application/json"})
    done = cluster.until(
        f"/jobs/{job}/savepoints/{answer['request-id']}", lambda it: it["status"]["id"] == "COMPLETED"
    )
    return done["operation"]["location"]


def without(answer, directory):
    """The answer without the folder that it was recorded in."""
    return json.loads(json.dumps(answer).replace(directory, "/recording"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--flink", action="append", default=[], metavar="RELEASE")
    arguments = parser.parse_args()
    if not shutil.which("javac"):
        sys.exit("record.py: there is no javac: install a JDK from 17 on")
    with tempfile.TemporaryDirectory() as classes:
        jar = compiled(classes)
    failed = []
    for release in arguments.flink or RELEASES:
        if not (TOOLS / f"flink-{release}").is_dir():
            sys.exit(f"record.py: there is no Flink {release} under target/tools: run cargo xtask e2e --flink first")
        for name in [*PLAIN, *FROM_STATE, *AROUND]:
            if arguments.only and name not in arguments.only:
                continue
            try:
                recording = record(release, name, jar)
            except Exception as failure:  # noqa: BLE001, told below, and the others are recorded
                failed.append(f"{release} {name}: {failure}")
                print(failed[-1][:300], flush=True)
                continue
            path = HERE / "recordings" / release / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(recording, indent=1, sort_keys=True) + "\n")
            print(f"{release} {name}: {recording['request']} {recording['status']}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
