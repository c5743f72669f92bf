"""InferencePoolSpec as the old version embeds it: Inference Extension's v1alpha2.

KServe keeps a copy of that type, because the project that published it does not ship it any more. That copy lost the
published defaults of the picker and requires its failure mode; here the defaults hold still, and only the name is required,
so that manifests from before are accepted (SCHEMA-6).
"""

from aioctl.crdgen.schema import GROUP, KIND, Schema, int32, obj, object_name, requiring, string


def spec() -> Schema:
    """The schema of `pool.spec` at v1alpha1."""
    extension = obj(
        "The endpoint picker.",
        failureMode=string(
            "What happens to requests while it fails.", default="FailClose", enum=["FailOpen", "FailClose"]
        ),
        group=string("Its API group.", default="", maxLength=253, pattern=GROUP),
        kind=string("Its kind.", default="Service", minLength=1, maxLength=63, pattern=KIND),
        name=object_name("Its name."),
        portNumber=int32("Its port.", 1, 65535),
    )
    schema = obj(
        "Spec of an InferencePool.",
        extensionRef=requiring(extension, "name"),
        selector={
            "description": "Labels of the pods.",
            "type": "object",
            "additionalProperties": {"type": "string", "minLength": 0, "maxLength": 63},
        },
        targetPortNumber=int32("Port of the pods."),
    )
    return requiring(schema, "selector", "targetPortNumber")
