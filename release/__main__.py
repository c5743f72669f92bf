"""`python -m release charts`: see `python -m release --help`."""

import json
from pathlib import Path
from typing import Final

import click

from aioctl import __version__
from release import charts, publication, sbom, schemas


@click.group()
def main() -> None:
    """Makes what a release consists of. Nothing is published from here."""


@main.command("charts")
def _charts() -> None:
    """Write what follows from the version, the schemas and the settings in deploy/."""
    charts.write()
    schemas.write()


@main.command("sbom")
def _sbom() -> None:
    """Print the bill of materials of what the program runs with (CycloneDX, JSON)."""
    click.echo(json.dumps(sbom.bill(), indent=2))


@main.command("licences")
def _licences() -> None:
    """Print each package that the program runs with, its version and its licence."""
    for name, version, licence in sbom.licences():
        click.echo(f"{name:<24}{version:<16}{licence}")


@main.command("changes")
def _changes() -> None:
    """Print what the changelog says of this version."""
    try:
        click.echo(publication.changes(__version__, Path("CHANGELOG.md").read_text()), nl=False)
    except publication.NoChangesError as error:
        raise click.ClickException(str(error)) from error


@main.command("plugin")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def _plugin(folder: Path) -> None:
    """Write kubectl's plugin as an archive into a folder."""
    click.echo(publication.plugin(folder))


UNCHECKED: Final = {
    "the image itself": "needs a container builder: the Dockerfile's step is performed on the file system instead",
    "arm64": "needs such a machine: that every locked package has a file for it is checked instead",
    "signatures and provenance": "need GitHub's identity token: the workflow is checked by actionlint",
    "a push of image, chart and packages": "needs the registries' permission, and a version to publish",
    "Grafana's own rendering": "needs Grafana: the same queries are drawn from a real Prometheus (docs/dashboard.svg)",
    "cert-manager, OpenShift and the Prometheus operator": "need their controllers: their objects are applied to CRDs without schema",
    "enforcement of the NetworkPolicy": "needs a network plugin: its ports and selectors are compared with the Deployment's",
}
"""What a release needs and nothing here can have -> what stands in for it."""


@main.command("unchecked")
def _unchecked() -> None:
    """Print what no check here covers, and why."""
    for what, why in UNCHECKED.items():
        click.echo(f"not checked here: {what}: {why}")


if __name__ == "__main__":
    main()
