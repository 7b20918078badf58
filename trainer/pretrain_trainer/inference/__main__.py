"""`python -m pretrain_trainer.inference`: what the command line starts. Answers in lines of JSON.

On the standard input there is a JSON object: {"command": "generate" | "evaluate" | "int8", "model": directory,
"config": resolved job of a run or null, …}. Lines: {"text": …} as text is written; {"result": …} at the end;
{"error": …} instead.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pretrain_trainer.errors import InvalidConfiguration, TrainerError


def main() -> int:
    """Do what is asked; return the exit code."""
    request: dict[str, Any] = json.load(sys.stdin)
    commands = {"generate": _generate, "evaluate": _evaluate, "int8": _int8}
    try:
        for line in commands[request["command"]](request):
            print(json.dumps(line, ensure_ascii=True), flush=True)
    except TrainerError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(json.dumps({"error": f"{error.filename or ''}: {error.strerror or error}"}), flush=True)
        return 1
    return 0


def _generate(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    # Imported late: what is wrong with the request is said at once.
    from pretrain_trainer.inference.generation import continuation
    from pretrain_trainer.inference.loading import load_model
    from pretrain_trainer.inference.sampling import SamplingSettings
    from pretrain_trainer.inference.text import pieces_of_text

    model = load_model(Path(request["model"]), _path(request.get("config")))
    settings = SamplingSettings(**request["settings"])
    prompt = model.tokenizer.encode(request["prompt"])
    yield {"model": str(model.source)}
    began = time.monotonic()
    tokens: list[int] = []

    def noted() -> Iterator[int]:
        for token in continuation(model, prompt, settings):
            tokens.append(token)
            yield token

    text = ""
    for piece in pieces_of_text(noted(), model.tokenizer, prompt):
        text += piece
        yield {"text": piece}
    ended = "length" if len(tokens) == settings.max_tokens else "end"
    result = {"text": text, "tokens": len(tokens), "promptTokens": len(prompt), "finish": ended}
    yield {"result": {**result, "seconds": round(time.monotonic() - began, 3)}}


def _evaluate(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from pretrain_trainer.inference.multiple_choice import judged, read_items, requests, scores

    items = read_items(Path(request["file"]))

    from pretrain_trainer.inference.loading import load_model

    model = load_model(Path(request["model"]), _path(request.get("config")))
    if model.kind != "decoder":
        raise InvalidConfiguration(f"{model.source}: an {model.kind} gives answers no probability; name a decoder")
    yield {"model": str(model.source)}
    begin = model.eos if model.bos is None else model.bos
    asked = list(requests(items, model.tokenizer, model.max_length, begin))
    found = scores(asked, model.logits)
    result = judged(items, asked, found).as_json()
    each: list[list[float]] = [[] for _ in items]
    for answer, score in zip(asked, found, strict=True):
        each[answer.item].append(round(score, 5))
    yield {"result": {**result, "scores": each} if request.get("scores") else result}


def _int8(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from pretrain_trainer.inference.int8 import export_int8

    yield {"result": export_int8(Path(request["model"]), Path(request["target"]))}


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


if __name__ == "__main__":
    sys.exit(main())
