"""Files of multiple-choice questions, brought into the storage: trainer pods need no access to where they were."""

from __future__ import annotations

import shutil

from pretrain_api.multiple_choice import parse_questions
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.files import atomic_file
from pretrain_dataprep.sources.storage import file_store


def copy_questions(context: StageContext) -> None:
    """Write data/evaluation/NAME.jsonl of each file that the job evaluates on; others go.

    Raises:
        InputError: A file isn't there, or a line isn't a question.
    """
    training = context.job.spec.training
    asked = training.evaluation.multiple_choice if training is not None else ()
    target = context.layout.evaluation_files
    shutil.rmtree(target, ignore_errors=True)  # of earlier settings
    for each in asked:
        content = _read(each.uri)
        try:
            parse_questions(content.decode(), each.uri)
        except UnicodeDecodeError:
            raise InputError(f"{each.uri}: is no UTF-8 text; write it as UTF-8") from None
        except ValueError as error:
            raise InputError(str(error)) from None
        with atomic_file(target / f"{each.name}.jsonl") as file:
            file.write(content)


def _read(uri: str) -> bytes:
    store = file_store(uri)
    content = b""
    for found in store.list_files(uri):
        with store.open(found.path) as file:
            content += file.read()
    return content
