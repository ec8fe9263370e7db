"""Runs `ministack` or `sam` in this interpreter, and ends with every process that they start when standard input ends.

    host.py ministack|sam [argument ...]

Whoever starts this, in a process group of its own, holds the other end of the pipe: however it ends, nothing is left.

For ministack the environment says how fast its clock runs (CLOCK_ORIGIN, in seconds since 1970, and CLOCK_SPEED), and
two things are filled in that its version 1.5.33 lacks and the services have: the version of an uploaded object in S3's
event, and the attributes of a schedule's context in the schedule's input.
"""

import json
import os
import re
import signal
import sys
import threading
import time
from datetime import datetime, timezone


def end_with_standard_input():
    def wait_and_end():
        while os.read(0, 4096):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=wait_and_end, daemon=True).start()


def as_text(moment, timespec="milliseconds"):
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def fast_clock():
    """The moment by the clock that all of ministack tells the time by; its waits are scaled by SFN_WAIT_SCALE."""
    origin, speed = float(os.environ["CLOCK_ORIGIN"]), float(os.environ["CLOCK_SPEED"])
    return datetime.fromtimestamp(origin + (time.time() - origin) * speed, timezone.utc)


def name_object_versions(s3, eventbridge):
    """S3 names the object's version in the events of a bucket with versions."""
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event
    uploaded = threading.local()

    def fire_with_version(*arguments, **named):
        uploaded.version = named.get("version_id")
        try:
            return fire(*arguments, **named)
        finally:
            uploaded.version = None

    def dispatch_with_version(event, *arguments, **named):
        version = getattr(uploaded, "version", None)
        if version and event.get("Source") == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version
            event = {**event, "Detail": json.dumps(detail)}
        return dispatch(event, *arguments, **named)

    s3._fire_s3_event, eventbridge._dispatch_event = fire_with_version, dispatch_with_version


def tell_schedules_context(eventbridge):
    """EventBridge Scheduler replaces <aws.scheduler.…> in the input that a schedule gives its target."""
    invoke = eventbridge._invoke_target

    def invoke_with_context(target, event, rule, view=None):
        if event.get("Source") == "aws.scheduler" and "Input" in target:
            context = {
                "schedule-arn": event["Resources"][0],
                "scheduled-time": as_text(fast_clock(), "seconds"),
                "execution-id": event["EventId"],
                "attempt-number": "1",
            }
            known = lambda match: context.get(match.group(1), match.group(0))
            target = {**target, "Input": re.sub(r"<aws\.scheduler\.([a-z-]+)>", known, target["Input"])}
        return invoke(target, event, rule, view)

    eventbridge._invoke_target = invoke_with_context


def ministack():
    # Before anything else is imported: the services take the function by its name.
    from ministack.core import responses

    responses.now_iso = lambda: as_text(fast_clock())
    from ministack.services import eventbridge, s3

    name_object_versions(s3, eventbridge)
    tell_schedules_context(eventbridge)
    from ministack.app import main

    return main()


def sam():
    from samcli.cli.main import cli

    return cli(prog_name="sam")


if __name__ == "__main__":
    end_with_standard_input()
    program = {"ministack": ministack, "sam": sam}[sys.argv.pop(1)]
    sys.exit(program())
