"""What admission and planning say of a model's URI (ART-1)."""

from typing import Any

import pytest

from aioctl.api import local_model, model_uri, validation

FORMS = (
    "use hf://<organisation>/<model>, s3://<bucket>/<path>, pvc://<claim>/<path>, oci://<image> "
    "or oci+native://<image>"
)
ADAPTERS = "use hf://<organisation>/<model>, s3://<bucket>/<path> or pvc://<claim>/<path>"


@pytest.mark.parametrize(
    "uri",
    [
        "hf://facebook/opt-125m",
        "HF://facebook/opt-125m",
        "hf://org/model:revision",
        "hf://gpt2",
        "hf://org/model/",
        "s3://bucket",
        "s3://bucket/models//odd-key",
        "pvc://claim",
        "pvc://claim/",
        "pvc://claim.of.names/a/b",
        "oci://quay.io:443/org/model@sha256:00",
        "oci+native://quay.io/org/model:1",
        # The merge or the template decides what comes of these.
        "",
        "hf://{{ .ObjectMeta.Name }}/m",
    ],
)
def test_uris_that_can_be_served_pass(uri: str) -> None:
    assert model_uri.literal_problem(uri) == ""


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("facebook/opt-125m", "it has no scheme"),
        ("gs://bucket/model", "scheme gs:// is not supported"),
        ("https://host/model", "scheme https:// is not supported"),
        ("oci+fetch://image", "scheme oci+fetch:// is not supported"),
        ("://x", "scheme :// is not supported"),
        ("pvc://", "it names no claim"),
        ("pvc:///path", "it names no claim"),
        ("pvc://claim//path", "it has an empty part (`//`) in its path"),
        ("pvc://claim/a//b", "it has an empty part (`//`) in its path"),
        ("hf://", "it names no repository"),
        ("hf:///model", "it names no repository"),
        ("hf://org/", "it names no model"),
        ("hf://org//model", "it has an empty part (`//`) in its path"),
        ("s3://", "it names no bucket"),
        ("s3:///key", "it names no bucket"),
        ("oci://", "it names no image"),
        ("hf://<patch-me>/model", "the placeholder <patch-me> has to be replaced"),
        ("<patch-me>", "the placeholder <patch-me> has to be replaced"),
        ("pvc://models/${USER}", "the placeholder ${USER} has to be replaced"),
        ("s3://$(BUCKET)/x", "the placeholder $(BUCKET) has to be replaced"),
    ],
)
def test_a_uri_that_cannot_be_served_gets_a_reason_and_the_forms(uri: str, reason: str) -> None:
    assert model_uri.literal_problem(uri) == f"{reason}; {FORMS}"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("pvc://UPPER/x", '"UPPER" is no name of an object: '),
        ("pvc://claim/../x", '"../x" is no path inside a volume: '),
        ("oci://im age", '"im age" is no image reference: '),
        ("oci+native://$(x", '"$(x" is no image reference: '),
    ],
)
def test_names_and_paths_are_judged_by_the_rules_of_all_users_names(uri: str, reason: str) -> None:
    assert model_uri.literal_problem(uri).startswith(reason)


def test_an_adapter_cannot_be_an_image() -> None:
    assert (
        model_uri.literal_problem("oci://i:1", adapter=True) == f"scheme oci:// is not supported; {ADAPTERS}"
    )
    assert model_uri.literal_problem("pvc://claim/x", adapter=True) == ""


def test_without_the_storage_initializer_the_server_takes_what_it_can() -> None:
    assert model_uri.literal_problem("gs://b/m", initializer=False) == ""
    assert model_uri.literal_problem("pvc://", initializer=False) == ""
    assert model_uri.literal_problem("model", initializer=False) == f"it has no scheme; {FORMS}"
    assert model_uri.literal_problem("gs://${X}", initializer=False).startswith("the placeholder ${X}")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("gs://bucket/model", ""),
        ("https://example.com/model", ""),
        ("hf://facebook/opt-125m", ""),
        ("gs://bucket//model", "it has an empty part (`//`) in its path"),
        ("hf://facebook//opt", "it has an empty part (`//`) in its path"),
        ("gs://${BUCKET}/model", "the placeholder ${BUCKET} has to be replaced"),
        ("model", "it has no scheme"),
    ],
)
def test_a_model_in_a_cache_came_from_anywhere(uri: str, reason: str) -> None:
    """LM-1: the claim of the cache is mounted, whatever filled it."""
    assert model_uri.literal_problem(uri, cached=True) == (f"{reason}; {FORMS}" if reason else "")


def test_admission_asks_a_marked_service_for_no_scheme() -> None:
    service: dict[str, Any] = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "svc", "namespace": "ns"},
        "spec": {"model": {"uri": "gs://bucket/model"}},
    }
    (problem,) = validation.validate(service)
    assert problem.field == "spec.model.uri"
    service["metadata"] = {"name": "svc", "namespace": "ns", "labels": {local_model.CACHE: "cache"}}
    assert validation.validate(service) == []
