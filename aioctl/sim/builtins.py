"""What kube-apiserver 1.34 fills in or refuses for the built-in kinds that the controller writes.

Each function takes the new object and the stored one (None on create) and changes the new one in place; a refusal raises
StatusError. Only fields that our clients send are known here.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aioctl.golang import quantity
from aioctl.sim.errors import Cause, bad_request, forbidden_field, invalid, invalid_value, required

Object = dict[str, Any]
MAX_DATA: Final = 1 << 20
"""Bytes of values in a ConfigMap or Secret."""


def _dicts(value: Any) -> list[Object]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def drop_nulls(value: Any) -> Any:
    """Typed decoding forgets nulls; in place for objects and lists."""
    if isinstance(value, dict):
        for key in [key for key, item in value.items() if item is None]:
            del value[key]
        for item in value.values():
            drop_nulls(item)
    elif isinstance(value, list):
        for item in value:
            drop_nulls(item)
    return value


def _image_pull_policy(image: str) -> str:
    name = image.rsplit("/", 1)[-1]
    if "@" in name:
        return "IfNotPresent"
    tag = name.split(":", 1)[1] if ":" in name else "latest"
    return "Always" if tag == "latest" else "IfNotPresent"


def _quantities(resources: Any) -> None:
    """Requests and limits come back in canonical spelling."""
    if not isinstance(resources, dict):
        return
    for part in ("limits", "requests"):
        amounts = resources.get(part)
        if not isinstance(amounts, dict):
            continue
        for name, amount in amounts.items():
            try:
                amounts[name] = quantity.canonical(str(amount))
            except ValueError as error:
                raise bad_request(str(error)) from error


def _probe(probe: Any) -> None:
    if not isinstance(probe, dict):
        return
    for key, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        if not probe.get(key):
            probe[key] = value
    _handler(probe)


def _handler(handler: Any) -> None:
    if not isinstance(handler, dict):
        return
    if isinstance(get := handler.get("httpGet"), dict):
        get.setdefault("path", "/")
        get.setdefault("scheme", "HTTP")
    if isinstance(grpc := handler.get("grpc"), dict):
        grpc.setdefault("service", "")


def _container(container: Object) -> None:
    container.setdefault("imagePullPolicy", _image_pull_policy(str(container.get("image", ""))))
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    _quantities(container["resources"])
    for port in _dicts(container.get("ports")):
        port.setdefault("protocol", "TCP")
    for env in _dicts(container.get("env")):
        if isinstance(source := env.get("valueFrom"), dict) and isinstance(
            ref := source.get("fieldRef"), dict
        ):
            ref.setdefault("apiVersion", "v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        _probe(container.get(name))
    if isinstance(lifecycle := container.get("lifecycle"), dict):
        for hook in lifecycle.values():
            _handler(hook)
    for name in ("args", "command", "env", "envFrom", "ports", "volumeMounts"):
        if container.get(name) == []:
            del container[name]


def _volume(volume: Object) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if isinstance(found := volume.get(source), dict):
            found.setdefault("defaultMode", 420)
    if isinstance(projected := volume.get("projected"), dict):
        for item in _dicts(projected.get("sources")):
            if isinstance(token := item.get("serviceAccountToken"), dict):
                token.setdefault("expirationSeconds", 3600)
    if isinstance(host := volume.get("hostPath"), dict):
        host.setdefault("type", "")
    if isinstance(image := volume.get("image"), dict):
        image.setdefault("pullPolicy", _image_pull_policy(str(image.get("reference", ""))))
    if isinstance(ephemeral := volume.get("ephemeral"), dict):
        claim = ephemeral.setdefault("volumeClaimTemplate", {})
        claim.setdefault("metadata", {})
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")


def pod_spec(spec: Object) -> None:
    """Defaults of a pod spec inside a template (pods themselves get a few more)."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if name := spec.get("serviceAccountName"):
        spec["serviceAccount"] = name
    elif name := spec.get("serviceAccount"):
        spec["serviceAccountName"] = name
    for field in ("containers", "initContainers"):
        for container in _dicts(spec.get(field)):
            _container(container)
    for volume in _dicts(spec.get("volumes")):
        _volume(volume)
    for field in ("initContainers", "volumes", "tolerations", "imagePullSecrets"):
        if spec.get(field) == []:
            del spec[field]


def _template_findings(template: Mapping[str, Any], path: str) -> Iterable[Cause]:
    spec = template.get("spec") or {}
    containers = _dicts(spec.get("containers"))
    if not containers:
        yield required(f"{path}.spec.containers")
    mounts = {volume.get("name") for volume in _dicts(spec.get("volumes"))}
    for field in ("initContainers", "containers"):
        for index, container in enumerate(_dicts(spec.get(field))):
            at = f"{path}.spec.{field}[{index}]"
            if not container.get("name"):
                yield required(f"{at}.name")
            if not container.get("image"):
                yield required(f"{at}.image")
            for number, mount in enumerate(_dicts(container.get("volumeMounts"))):
                if mount.get("name") not in mounts:
                    name = str(mount.get("name", ""))
                    yield Cause(
                        f"{at}.volumeMounts[{number}].name", f'Not found: "{name}"', "FieldValueNotFound"
                    )


def deployment(new: Object, old: Object | None) -> None:
    spec: Object = new.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    template: Object = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod_spec(template.setdefault("spec", {}))
    causes = list(_template_findings(template, "spec.template"))
    selector = spec.get("selector")
    wanted = (selector or {}).get("matchLabels") or {}
    labels = template["metadata"].get("labels") or {}
    if not selector:
        causes.insert(0, required("spec.selector"))
    elif any(labels.get(key) != value for key, value in wanted.items()):
        detail = "`selector` does not match template `labels`"
        causes.append(invalid_value("spec.template.metadata.labels", labels, detail))
    if old is not None and old.get("spec", {}).get("selector") != selector:
        causes.append(invalid_value("spec.selector", selector, "field is immutable"))
    _refuse("Deployment", "apps", new, causes)


def autoscaler(new: Object, old: Object | None) -> None:  # noqa: ARG001
    """Fills a behaviour as k8s.io/kubernetes 1.34, pkg/apis/autoscaling/v2/defaults.go."""
    spec: Object = new.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    behavior = spec.get("behavior")
    if not isinstance(behavior, dict):
        return
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    up = {"stabilizationWindowSeconds": 0, "policies": [{**percent, "type": "Pods", "value": 4}, percent]}
    for field, rules in (("scaleUp", up), ("scaleDown", {"policies": [percent]})):
        behavior[field] = {"selectPolicy": "Max", **rules, **(behavior.get(field) or {})}


def resource_claim_template(new: Object, old: Object | None) -> None:
    """Defaults of requests, and the spec that cannot change."""
    spec: Object = new.setdefault("spec", {})
    spec.setdefault("metadata", {})
    devices = spec.setdefault("spec", {}).get("devices")
    for request in _dicts(devices.get("requests") if isinstance(devices, dict) else None):
        if isinstance(exactly := request.get("exactly"), dict):
            exactly.setdefault("allocationMode", "ExactCount")
            if exactly["allocationMode"] == "ExactCount":
                exactly.setdefault("count", 1)
    causes = []
    if old is not None and old.get("spec") != spec:
        causes.append(invalid_value("spec", spec, "field is immutable"))
    _refuse("ResourceClaimTemplate", "resource.k8s.io", new, causes)


def service(new: Object, old: Object | None) -> None:
    """Defaults but the address, which the cluster allocates."""
    spec: Object = new.setdefault("spec", {})
    spec.setdefault("sessionAffinity", "None")
    kind = spec.setdefault("type", "ClusterIP")
    for port in _dicts(spec.get("ports")):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    causes = []
    if not spec.get("ports") and spec.get("clusterIP") != "None" and kind != "ExternalName":
        causes.append(required("spec.ports"))
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        held = (old or {}).get("spec", {}).get("clusterIP")
        if held and not spec.get("clusterIP"):
            spec["clusterIP"] = held
        if held and spec["clusterIP"] != held:
            detail = "may not change once set"
            causes.append(invalid_value("spec.clusterIPs[0]", [spec["clusterIP"]], detail))
        if held:
            spec["clusterIPs"] = [held]
    if old is None:
        new["status"] = {"loadBalancer": {}}
    _refuse("Service", "", new, causes)


def secret_cautions(new: Mapping[str, Any]) -> list[str]:
    """What the API server warns of in a Secret that it takes: a pair for TLS that is none (crypto/tls, the first two texts)."""
    if new.get("type") != "kubernetes.io/tls":
        return []
    data = new.get("data") or {}
    for key, what in (("tls.crt", "certificate"), ("tls.key", "key")):
        if b"-----BEGIN " not in base64.b64decode(data.get(key) or ""):
            return [f"tls: failed to find any PEM data in {what} input"]
    return []


def secret(new: Object, old: Object | None) -> None:
    new.setdefault("type", "Opaque")
    if texts := new.pop("stringData", None):
        data = new.setdefault("data", {})
        data.update({key: base64.b64encode(str(value).encode()).decode() for key, value in texts.items()})
    for value in (new.get("data") or {}).values():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            why = "illegal base64 data at input byte 0"
            raise bad_request(f'Secret in version "v1" cannot be handled as a Secret: {why}') from error
    causes = []
    if new["type"] == "kubernetes.io/tls":
        causes = [
            required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in (new.get("data") or {})
        ]
    if old is not None and old.get("type") != new["type"]:
        causes.append(invalid_value("type", new["type"], "field is immutable"))
    if sum(len(base64.b64decode(value)) for value in (new.get("data") or {}).values()) > MAX_DATA:
        causes.append(_too_long("data"))
    _refuse("Secret", "", new, causes + _immutable_findings(new, old))


def config_map(new: Object, old: Object | None) -> None:
    values = [value for part in ("data", "binaryData") for value in (new.get(part) or {}).values()]
    causes = []
    if sum(len(str(value).encode()) for value in values) > MAX_DATA:
        causes.append(_too_long("[]"))
    _refuse("ConfigMap", "", new, causes + _immutable_findings(new, old))


def service_account(new: Object, _old: Object | None) -> None:
    """Typed encoding leaves empty lists out."""
    for field in ("secrets", "imagePullSecrets"):
        if new.get(field) == []:
            del new[field]


def _too_long(field: str) -> Cause:
    return Cause(field, f"Too long: may not be more than {MAX_DATA} bytes", "FieldValueTooLong")


def _immutable_findings(new: Object, old: Object | None) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    changed = new.get("data") != old.get("data") or not new.get("immutable")
    return [forbidden_field("data", "field is immutable when `immutable` is set")] if changed else []


def namespace(new: Object, old: Object | None) -> None:
    metadata = new["metadata"]
    labels = dict(metadata.get("labels") or {})
    labels["kubernetes.io/metadata.name"] = metadata.get("name", "")
    metadata["labels"] = labels
    if old is None:
        new["spec"] = {"finalizers": ["kubernetes"]}
        new["status"] = {"phase": "Active"}


def role_binding(new: Object, old: Object | None) -> None:
    rbac = "rbac.authorization.k8s.io"
    reference = new.get("roleRef")
    causes = []
    if not isinstance(reference, dict) or not reference.get("name"):
        causes.append(required("roleRef.name"))
    else:
        if not reference.get("apiGroup"):
            reference["apiGroup"] = rbac
        if old is not None and old.get("roleRef") != reference:
            causes.append(invalid_value("roleRef", reference, "cannot change roleRef"))
    for index, subject in enumerate(_dicts(new.get("subjects"))):
        if subject.get("kind") == "ServiceAccount":
            if not subject.get("apiGroup"):
                subject.pop("apiGroup", None)
            if new.get("kind") == "ClusterRoleBinding" and not subject.get("namespace"):
                causes.append(required(f"subjects[{index}].namespace"))
        elif not subject.get("apiGroup"):
            subject["apiGroup"] = rbac
    _refuse(str(new.get("kind", "RoleBinding")), rbac, new, causes)


def custom_resource_definition(new: Object, old: Object | None) -> None:
    """Defaults, the status the API server gives, and the checks that matter. Raises StatusError 422."""
    spec = new.setdefault("spec", {})
    names = spec.setdefault("names", {})
    name = str(new["metadata"].get("name", ""))
    missing = [
        required(f"spec.{field}")
        for field, value in (
            ("group", spec.get("group")),
            ("versions", spec.get("versions")),
            ("scope", spec.get("scope")),
        )
        if not value
    ] + [required(f"spec.names.{field}") for field in ("plural", "kind") if not names.get(field)]
    if missing:
        raise invalid("CustomResourceDefinition", "apiextensions.k8s.io", name, missing)
    names.setdefault("singular", str(names["kind"]).lower())
    names.setdefault("listKind", f"{names['kind']}List")
    spec.setdefault("conversion", {"strategy": "None"})
    service = ((spec["conversion"].get("webhook") or {}).get("clientConfig") or {}).get("service")
    if isinstance(service, dict):
        service.setdefault("port", 443)
    if old is None:
        stored = [version["name"] for version in spec["versions"] if version.get("storage")]
        conditions = [
            {"type": kind, "status": "True", "reason": reason, "message": message}
            for kind, reason, message in (
                ("NamesAccepted", "NoConflicts", "no conflicts found"),
                ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            )
        ]
        new["status"] = {"acceptedNames": names, "storedVersions": stored, "conditions": conditions}


def webhook_configuration(new: Object, _old: Object | None) -> None:
    for hook in _dicts(new.get("webhooks")):
        hook.setdefault("failurePolicy", "Fail")
        hook.setdefault("matchPolicy", "Equivalent")
        hook.setdefault("timeoutSeconds", 10)
        hook.setdefault("namespaceSelector", {})
        hook.setdefault("objectSelector", {})
        for rule in _dicts(hook.get("rules")):
            rule.setdefault("scope", "*")
        if isinstance(target := (hook.get("clientConfig") or {}).get("service"), dict):
            target.setdefault("port", 443)


def mutating_webhook_configuration(new: Object, old: Object | None) -> None:
    webhook_configuration(new, old)
    for hook in _dicts(new.get("webhooks")):
        hook.setdefault("reinvocationPolicy", "Never")


def _refuse(kind: str, group: str, obj: Object, causes: Iterable[Cause]) -> None:
    found = list(causes)
    if found:
        raise invalid(kind, group, str(obj["metadata"].get("name", "")), found)
