"""Texts rewritten by a program: one process for all of them, so that a model is loaded once."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Thread
from typing import IO

import orjson

from pretrain_api.spec.augment import Augmentation
from pretrain_dataprep.augmenting import Rewriter
from pretrain_dataprep.errors import ConfigurationError, InputError, TemporaryError
from pretrain_dataprep.files import hash_file
from pretrain_dataprep.manifests import Input
from pretrain_dataprep.text.batch import TextBatch

DEFAULT_TIMEOUT_SECONDS = Augmentation.model_fields["timeout_seconds"].default
_READ_BYTES = 1 << 20
_PROTOCOL = "the command reads JSON strings, one a line, and writes one for each"


def check_command(field: str, command: str) -> None:
    """Raise ConfigurationError if the program isn't there."""
    program = shlex.split(command)[0]
    if shutil.which(program) is None:
        raise ConfigurationError(
            f"{field}: {program}: no such program here; write its path, or put it into the image of the preparation "
            "(spec.data.podTemplate)"
        )


def command_inputs(entry: Augmentation) -> list[Input]:
    """Return the files that an entry's command names, for a recipe: a changed script makes other texts."""
    paths = [Path(each) for each in dict.fromkeys(entry.command_files)]
    return [Input(str(path), path.stat().st_size, hash_file(path)) for path in paths if path.is_file()]


def command_rewriter(command: str, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> Rewriter:
    """Return what sends texts through a program: JSON strings, one a line, in and out in the same order.

    The texts are read in a thread, as the program may want any number of them before it answers. One that neither reads
    nor writes for `timeout_seconds` while it is waited for is ended.
    """
    arguments = shlex.split(command)

    def rewrite(texts: Iterable[str]) -> Iterator[str]:
        try:
            process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise InputError(f"{command}: {error.strerror}; write the path of a program") from error
        assert process.stdin is not None
        assert process.stdout is not None
        feeding = _Feeding(process.stdin, texts)
        feeding.start()
        try:
            for number, line in enumerate(_lines(process.stdout, feeding, timeout_seconds), start=1):
                yield _tidied(_text(command, number, line))
            code = process.wait(timeout_seconds)
            feeding.join()
        except TimeoutError as error:
            raise _too_slow(command, timeout_seconds) from error
        except subprocess.TimeoutExpired as error:
            raise _too_slow(command, timeout_seconds) from error
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if feeding.failure is not None:
            raise feeding.failure
        if code < 0:
            raise TemporaryError(
                f"{command}: was ended by signal {-code}; give the pod more memory if it took too much"
            )
        if code != 0:
            raise InputError(f"{command}: ended with exit code {code}; {_PROTOCOL}")

    return rewrite


class _Feeding(Thread):
    """Writes texts to a program."""

    def __init__(self, pipe: IO[bytes], texts: Iterable[str]) -> None:
        super().__init__(name="feeding", daemon=True)
        self._pipe = pipe
        self._texts = texts
        self.written = 0
        """Texts that the program, or the pipe to it, has taken."""
        self.failure: Exception | None = None
        """Why there are no more texts."""

    def run(self) -> None:
        try:
            with self._pipe as pipe:
                for text in self._texts:
                    pipe.write(orjson.dumps(text) + b"\n")
                    self.written += 1
        except BrokenPipeError:
            pass  # it has ended; its exit code or the number of its answers says whether it should have
        except Exception as error:
            self.failure = error


def _lines(pipe: IO[bytes], feeding: _Feeding, timeout_seconds: float) -> Iterator[bytes]:
    """Yield what a program writes, a line at a time. Raises TimeoutError if it does nothing for too long."""
    rest = b""
    while True:
        written = feeding.written
        if not select.select([pipe], [], [], timeout_seconds)[0]:
            if feeding.written == written:
                raise TimeoutError
            continue
        content = os.read(pipe.fileno(), _READ_BYTES)
        if not content:
            break
        *lines, rest = (rest + content).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _too_slow(command: str, timeout_seconds: float) -> TemporaryError:
    return TemporaryError(
        f"{command}: read and wrote nothing for {timeout_seconds:,.0f} seconds, and was ended; if it needs longer "
        "for a text, raise timeoutSeconds (--timeout-seconds)"
    )


def _tidied(text: str) -> str:
    """Return text as cleaning leaves it: no control characters, line feeds at line ends."""
    from pretrain_dataprep.text.tidy import tidy

    return tidy(TextBatch.of([text.encode()])).document(0).decode()


def _text(command: str, number: int, line: bytes) -> str:
    try:
        text = orjson.loads(line)
    except ValueError:
        text = None
    if not isinstance(text, str):
        shown = line[:60].decode("utf-8", "backslashreplace").strip()
        raise InputError(f"{command}: line {number:,} of its output is no JSON string: {shown}; {_PROTOCOL}")
    return text
