"""Runs a program on a pseudo-terminal: terminal.py COLUMNS INTERRUPT_AFTER PROGRAM [ARGUMENT...]

Prints a JSON object: `code`, its exit code, and `shown`, all that it wrote. Where INTERRUPT_AFTER is not empty, Ctrl-C is
pressed once that text is shown.
"""

import fcntl
import json
import os
import pty
import struct
import sys
import termios


def main():
    columns, text, program = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3:]
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execv(program[0], program)
    shown, is_pressed = b"", not text
    while True:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # The other end is closed.
            read = b""
        if not read:
            break
        shown += read
        if not is_pressed and text in shown:
            is_pressed = True
            os.write(terminal, b"\x03")
    _, status = os.waitpid(child, 0)
    print(json.dumps({"code": os.waitstatus_to_exitcode(status), "shown": shown.decode(errors="replace")}))


main()
