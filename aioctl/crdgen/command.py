"""`aioctl crds`: writes the two CustomResourceDefinitions, from files that hold the schemas of what they embed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import click
import yaml

from aioctl.crdgen.documents import ConversionService, Sources, generate
from aioctl.crdgen.schema import SourceError

_FILE: Final = click.File("r", encoding="utf-8")
_DEFAULT: Final = ConversionService()


@click.command("crds", short_help="Write the CustomResourceDefinitions.")
@click.option(
    "--openapi",
    type=_FILE,
    required=True,
    help="OpenAPI document of the core types: `kubectl get --raw /openapi/v3/api/v1`; - reads standard input.",
)
@click.option(
    "--openapi-autoscaling",
    type=_FILE,
    required=True,
    help="The same of `/openapi/v3/apis/autoscaling/v2`.",
)
@click.option("--http-route", type=_FILE, required=True, help="CRD of HTTPRoute, standard channel.")
@click.option(
    "--http-route-experimental",
    type=_FILE,
    required=True,
    help="CRD of HTTPRoute, experimental channel, same release.",
)
@click.option("--pool", type=_FILE, required=True, help="CRD of InferencePool, inference.networking.k8s.io.")
@click.option("--scaled-object", type=_FILE, required=True, help="CRD of KEDA's ScaledObject.")
@click.option(
    "--webhook-service",
    default=_DEFAULT.name,
    show_default=True,
    help="Service that answers conversions.",
)
@click.option(
    "--webhook-namespace", default=_DEFAULT.namespace, show_default=True, help="Namespace of that Service."
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder that the two files are written to.",
)
def crds(
    openapi: IO[str],
    openapi_autoscaling: IO[str],
    http_route: IO[str],
    http_route_experimental: IO[str],
    pool: IO[str],
    scaled_object: IO[str],
    webhook_service: str,
    webhook_namespace: str,
    output: Path,
) -> None:
    """Write the CustomResourceDefinitions of LLMInferenceService and LLMInferenceServiceConfig.

    The schemas of what they embed are read from the given files.
    """
    sources = Sources(
        openapi=_decoded(openapi),
        autoscaling=_decoded(openapi_autoscaling),
        http_route=_decoded(http_route),
        http_route_experimental=_decoded(http_route_experimental),
        pool=_decoded(pool),
        scaled_object=_decoded(scaled_object),
    )
    try:
        made = generate(sources, ConversionService(webhook_service, webhook_namespace))
    except SourceError as error:
        raise click.ClickException(str(error)) from error
    output.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (output / name).write_text(text, encoding="utf-8")
        click.echo(output / name)


def _decoded(file: IO[str]) -> Mapping[str, Any]:
    text = file.read()
    try:
        # The OpenAPI document has 1.5 MB: JSON decodes it at once, YAML would take seconds.
        content = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, yaml.CSafeLoader)
    except (ValueError, yaml.YAMLError) as error:
        raise click.ClickException(f"{file.name} is neither JSON nor YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise click.ClickException(f"{file.name} holds no object: give a file with exactly one document")
    return content
