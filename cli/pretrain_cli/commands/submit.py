"""`pretrain submit FILE`: send jobs to the cluster."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from pretrain_cli import options
from pretrain_cli.display.table import as_text
from pretrain_cli.errors import UsageError
from pretrain_cli.places import Where, connect_to, errors_in_a_line


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML file of PretrainJobs; - is the standard input.")],
    namespace: options.Namespace = None,
    output: Annotated[
        Literal["text", "name", "json", "yaml"], typer.Option("-o", "--output", help="How to show what was applied.")
    ] = "text",
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Validate jobs as `pretrain validate` does, then create or change them in the cluster."""
    with errors_in_a_line("submit"):
        documents = _documents(file)
        # Imported here: a wrong file is told at once.
        from pretrain_cli.cluster.jobs import apply_job, refuse_other_namespace

        connection = connect_to(Where(namespace, context, kubeconfig))
        for document in documents:
            refuse_other_namespace(document, namespace)
        for document in documents:
            applied, done = apply_job(connection, document)
            _echo(applied, done, output)


def _documents(file: str) -> list[dict[str, Any]]:
    """Return the jobs of a file as they were written. Raises UsageError."""
    from pretrain_api.validation import validate_text
    from pretrain_api.validation.documents import load_documents
    from pretrain_cli.manifest import invalid, read

    text = read(file)
    result = validate_text(text)
    if not result.valid:
        raise invalid(file, result.problems)
    documents = [document.value for document in load_documents(text)]
    if not documents:
        raise UsageError(f"{file}: holds no job")
    return documents


def _echo(job: dict[str, Any], done: str, output: str) -> None:
    metadata = job["metadata"]
    if output in ("json", "yaml"):
        typer.echo(as_text(job, output))
        return
    if output == "name":
        typer.echo(f"pretrainjob.pretrain.dev/{metadata['name']}")
        return
    typer.echo(f"{metadata['name']} {done} in namespace {metadata['namespace']}")
    typer.echo(_next(job))


def _next(job: dict[str, Any]) -> str:
    metadata, spec = job["metadata"], job["spec"]
    if spec.get("suspend"):
        what = "it is suspended: nothing starts until `pretrain resume`"
    elif spec.get("training") is None:
        what = "the operator prepares the data"
    elif (spec.get("data") or {}).get("sources"):
        nodes = (spec.get("trainer") or {}).get("numNodes", 1)
        what = f"the operator prepares the data, then trains on {nodes} {'pod' if nodes == 1 else 'pods'}"
    else:
        what = "the operator starts the training: its data is prepared already"
    return f"{what}; watch it with: pretrain status {metadata['name']} -n {metadata['namespace']} --watch"
