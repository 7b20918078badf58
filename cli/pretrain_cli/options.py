"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

NAME_HELP = "Name of a job, or directory of a local run."

Name = Annotated[str, typer.Argument(metavar="NAME", help=NAME_HELP)]
Namespace = Annotated[str | None, typer.Option("-n", "--namespace", help="Default: that of the context.")]
Context = Annotated[str | None, typer.Option("--context", help="Of the kubeconfig; default: its current one.")]
Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, or ~/.kube/config.")
]
Local = Annotated[
    bool | None,
    typer.Option(
        "--local/--cluster", help="Only runs of this machine, or only the cluster's jobs.", show_default=False
    ),
]
Image = Annotated[
    str,
    typer.Option(
        metavar="IMAGE",
        help="Of the pod that reads the storage where no pod of the job runs; needs Python. Default: the job's own.",
    ),
]
