"""Create, update, patch and delete, step by step in the real server's order.

Body, defaults and schema in the request's version; admission; conversion into the stored version; the write, if nobody was
faster; the answer, converted back. A write that would change nothing is not one. Status is a matter of its own: the status
subresource changes nothing else, ordinary writes leave it alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from aioctl.sim import objectmeta, patch
from aioctl.sim.admission import Attributes
from aioctl.sim.builtins import drop_nulls
from aioctl.sim.core import Core
from aioctl.sim.deletion import finalizers_left, mark_for_deletion
from aioctl.sim.errors import (
    Cause,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    invalid_value,
    no_such_subresource,
    not_found,
    plain_500,
    unsupported_media,
    unsupported_patch,
)
from aioctl.sim.managers import compare, manager_of
from aioctl.sim.records import Key, Manager, Record, record_of
from aioctl.sim.requests import SimRequest, Target, decode_body, decode_object
from aioctl.sim.resources import Object, Version
from aioctl.sim.store import Collection

_ATTEMPTS: Final = 5
"""How often a write without resourceVersion is tried again when somebody else was faster."""


@dataclass(frozen=True, slots=True)
class Written:
    """The record to answer with (in the request's version) and what went along. `record` None: a Status is the answer."""

    record: Record | None
    status: int = 200
    warnings: list[str] = field(default_factory=list)
    wrote: bool = True
    removed: Record | None = None


_LONGEST_PREFIX: Final = 58
"""Of a generated name, five characters more of which are made up (k8s.io/apiserver 0.34, pkg/storage/names/generate.go)."""


class Writer:
    """The writing verbs on one cluster."""

    def __init__(self, core: Core, written: Callable[[Collection, Record, str], None]) -> None:
        """`written` is told every write: collection, record, and ADDED, MODIFIED or DELETED."""
        self._core = core
        self._written = written

    # -- create

    async def create(
        self, collection: Collection, version: Version, target: Target, request: SimRequest
    ) -> Written:
        """POST on a collection."""
        return await self.create_object(
            collection,
            version,
            target.namespace,
            decode_object(request),
            by=manager_of(request, target),
            is_dry_run=is_dry_run(request),
        )

    async def create_object(
        self,
        collection: Collection,
        version: Version,
        namespace: str,
        obj: Object,
        *,
        by: Manager | None = None,
        is_dry_run: bool = False,
    ) -> Written:
        """Creates a decoded object; see the module for the order of things. Raises StatusError."""
        resource = collection.resource
        objectmeta.check_type(resource, obj, version.at.api_version)
        unknown = version.pruned(obj)
        metadata = objectmeta.metadata_of(obj)
        self._check_namespace(collection, metadata, namespace)
        if metadata.get("resourceVersion"):
            raise plain_500("resourceVersion should not be set on objects to be created")
        if not metadata.get("name") and isinstance(prefix := metadata.get("generateName"), str):
            metadata["name"] = prefix[:_LONGEST_PREFIX] + self._core.new_suffix()
        for field_name in objectmeta.SYSTEM_FIELDS:
            metadata.pop(field_name, None)
        metadata["uid"] = self._core.new_uid()
        metadata["creationTimestamp"] = self._core.clock.stamp()
        if resource.generation:
            metadata["generation"] = 1
        if resource.status:
            obj.pop("status", None)
        name = str(metadata.get("name", ""))
        attributes = Attributes(resource, version.at, "CREATE", namespace, name, obj, None, is_dry_run)
        warnings = unknown + await self._mutate(version, obj, attributes)
        self._prepare(collection, version, obj, None)
        warnings += objectmeta.cautions(resource, obj, None)
        warnings += await self._core.admission.review(attributes)
        stored = await self._stored(collection, obj)
        key = (namespace, name)
        if key in collection.records:
            raise already_exists(resource.title, resource.group, name)
        record = self._commit(collection, stored, key, by, is_dry_run=is_dry_run)
        answer = await self._core.as_record(collection, record, version.at)
        return Written(answer, 201, warnings, wrote=not is_dry_run)

    def _check_namespace(self, collection: Collection, metadata: Object, namespace: str) -> None:
        resource = collection.resource
        if not resource.namespaced:
            metadata.pop("namespace", None)
            return
        if not namespace:
            raise bad_request("an empty namespace may not be set during creation")
        if metadata.get("namespace", namespace) != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = namespace
        owner = self._core.collection("namespaces").records.get(("", namespace))
        if owner is None:
            raise not_found("namespaces", "", namespace)
        if b'"deletionTimestamp"' in owner.raw:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise forbidden(resource.title, resource.group, str(metadata.get("name", "")), why)

    async def _mutate(self, version: Version, obj: Object, attributes: Attributes) -> list[str]:
        """Mutating admission, in place on `obj`: it sees the defaults of the request's version; returns its warnings."""
        if not self._core.admission.mutates(attributes):
            return []
        if version.schema is not None:
            version.schema.complete(obj)
        changed, warnings = await self._core.admission.mutate(attributes, obj)
        if changed is not obj:
            obj.clear()
            obj.update(changed)
            objectmeta.metadata_of(obj)
        return warnings

    def _prepare(self, collection: Collection, version: Version, new: Object, old: Object | None) -> None:
        """Defaults and validation in the request's version. Raises StatusError 400 or 422."""
        resource = collection.resource
        if not resource.custom:
            drop_nulls(new)
        if resource.prepare is not None:
            resource.prepare(new, old)
        if version.schema is not None:
            version.schema.complete(new)
        if resource.title == "services":
            self._allocate(new)
        causes = [*objectmeta.findings(resource, new["metadata"]), *version.findings(new, old)]
        if old is not None:
            causes += objectmeta.update_findings(new, old)
        self._refuse(collection, new, causes)

    def _allocate(self, service: Object) -> None:
        spec = service["spec"]
        if spec.get("type") != "ExternalName" and not spec.get("clusterIP"):
            spec["clusterIP"] = self._core.new_address()
        if spec.get("clusterIP"):
            spec.setdefault("clusterIPs", [spec["clusterIP"]])

    @staticmethod
    def _refuse(collection: Collection, obj: Object, causes: list[Cause]) -> None:
        if causes:
            resource = collection.resource
            raise invalid(resource.kind, resource.group, str(obj["metadata"].get("name", "")), causes)

    async def _stored(self, collection: Collection, obj: Object) -> Object:
        """The object in the stored version, with its defaults: the real server adds those whenever it reads one."""
        resource = collection.resource
        at = resource.stored
        converted = (await self._core.converter.convert(resource, [obj], at, cause="write"))[0]
        version = resource.version(at)
        if version is not None and version.schema is not None and obj.get("apiVersion") != at.api_version:
            version.schema.complete(converted)
        return converted

    def _commit(
        self, collection: Collection, obj: Object, key: Key, by: Manager | None, *, is_dry_run: bool
    ) -> Record:
        if is_dry_run:
            return record_of(objectmeta.copy(obj), key, self._core.store.revision)
        is_new = key not in collection.records
        record = self._core.store.put(collection, obj, key)
        if by is not None:
            collection.managers.setdefault(key, {})[by] = None
        self._written(collection, record, "ADDED" if is_new else "MODIFIED")
        return record

    # -- update

    async def update(
        self, collection: Collection, version: Version, target: Target, request: SimRequest
    ) -> Written:
        """PUT on an object or its status."""
        obj = decode_object(request)
        objectmeta.check_type(collection.resource, obj, version.at.api_version)
        metadata = objectmeta.metadata_of(obj)
        objectmeta.check_address(metadata, target.namespace, target.name)
        if not metadata.get("resourceVersion") and not collection.resource.unconditional_update:
            finding = invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(collection.resource.plural, collection.resource.group, target.name, [finding])
        return await self._change(collection, version, target, lambda _: objectmeta.copy(obj), request)

    async def patch(
        self, collection: Collection, version: Version, target: Target, request: SimRequest
    ) -> Written:
        """PATCH on an object or its status; server-side apply creates what is missing."""
        kind = request.content_type
        body = decode_body(request)
        if kind == patch.APPLY_PATCH:
            return await self._apply(collection, version, target, request, body)
        change: Callable[[Object], Any]
        if kind == patch.MERGE_PATCH:
            change = lambda old: patch.merge_patch(old, body)  # noqa: E731 -- three one-liners side by side
        elif kind == patch.JSON_PATCH:
            change = lambda old: patch.json_patch(old, body)  # noqa: E731
        elif kind == patch.STRATEGIC_PATCH and not collection.resource.custom:
            change = lambda old: patch.strategic(old, body)  # noqa: E731
        else:
            if not collection.resource.custom:
                raise unsupported_patch()
            raise unsupported_media([patch.JSON_PATCH, patch.MERGE_PATCH, patch.APPLY_PATCH])
        return await self._change(collection, version, target, partial(_patched, change, target), request)

    async def _apply(
        self, collection: Collection, version: Version, target: Target, request: SimRequest, body: Any
    ) -> Written:
        if not isinstance(body, dict):
            raise bad_request("the body of an apply patch must be an object")
        if not request.argument("fieldManager"):
            raise bad_request('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value')
        if (target.namespace, target.name) in collection.records:
            return await self._change(
                collection, version, target, lambda old: patch.merge(old, body), request
            )
        body.setdefault("metadata", {}).setdefault("name", target.name)
        return await self.create_object(
            collection,
            version,
            target.namespace,
            body,
            by=manager_of(request, target),
            is_dry_run=is_dry_run(request),
        )

    async def _change(
        self,
        collection: Collection,
        version: Version,
        target: Target,
        change: Callable[[Object], Any],
        request: SimRequest,
    ) -> Written:
        resource, by, dry = collection.resource, manager_of(request, target), is_dry_run(request)
        if target.subresource not in {"", "status"} or (target.subresource and not resource.status):
            raise no_such_subresource()
        key = (target.namespace, target.name)
        for _ in range(_ATTEMPTS):
            held = collection.records.get(key)
            if held is None:
                raise not_found(resource.title, resource.group, target.name)
            old = await self._core.as_object(collection, held, version.at)
            new = change(objectmeta.copy(old))
            if not isinstance(new, dict):
                raise bad_request("the patch does not leave an object")
            await compare(self._core, collection, old, new, version.at)
            unknown = version.pruned(new)
            warnings = unknown + await self._judge(collection, version, target, new, old, is_dry_run=dry)
            stored = await self._stored(collection, new)
            # Somebody else was faster: the next round sees their object, and a resourceVersion in the wish refuses it.
            if collection.records.get(key) is held:
                return await self._finish(collection, version, held, stored, warnings, by, is_dry_run=dry)
        raise conflict(resource.title, resource.group, target.name)

    async def _judge(
        self,
        collection: Collection,
        version: Version,
        target: Target,
        new: Object,
        old: Object,
        *,
        is_dry_run: bool,
    ) -> list[str]:
        """Everything between the wish and the write, in place on `new`; returns admission's warnings."""
        resource = collection.resource
        objectmeta.metadata_of(new)
        objectmeta.check_type(resource, new, version.at.api_version)
        objectmeta.check_update(resource, new, old)
        attributes = Attributes(
            resource,
            version.at,
            "UPDATE",
            target.namespace,
            target.name,
            new,
            old,
            is_dry_run,
            target.subresource,
        )
        if target.subresource:
            status = new.get("status")
            new.clear()
            new.update(objectmeta.copy(old))
            new.pop("status", None)
            if status is not None:
                new["status"] = status
            warnings = await self._mutate(version, new, attributes)
            if version.schema is not None:
                version.schema.complete(new)
                self._refuse(collection, new, version.findings(new, old))
        else:
            objectmeta.keep_system_fields(new, old)
            if resource.status:
                new.pop("status", None)
                if "status" in old:
                    new["status"] = old["status"]
            warnings = await self._mutate(version, new, attributes)
            self._prepare(collection, version, new, old)
        warnings += objectmeta.cautions(resource, new, old)
        if resource.generation and objectmeta.spec_changed(resource, new, old):
            new["metadata"]["generation"] = int(old["metadata"].get("generation") or 0) + 1
        return warnings + await self._core.admission.review(attributes)

    async def _finish(
        self,
        collection: Collection,
        version: Version,
        held: Record,
        stored: Object,
        warnings: list[str],
        by: Manager,
        *,
        is_dry_run: bool,
    ) -> Written:
        metadata = stored["metadata"]
        is_namespace = collection.resource.title == "namespaces"
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and not is_namespace:
            if is_dry_run:
                return Written(await self._core.as_record(collection, held, version.at), wrote=False)
            # The last finalizer is gone: the write is the deletion.
            record = record_of(stored, held.key, held.revision)
            removed = self._remove(collection, held.key)
            return Written(
                await self._core.as_record(collection, record, version.at), 200, warnings, removed=removed
            )
        if objectmeta.same_apart_from_revision(stored, held.decode()):
            record, wrote = held, False
        else:
            record = self._commit(collection, stored, held.key, by, is_dry_run=is_dry_run)
            wrote = not is_dry_run
        return Written(await self._core.as_record(collection, record, version.at), 200, warnings, wrote=wrote)

    # -- delete

    async def delete(
        self, collection: Collection, version: Version, target: Target, request: SimRequest
    ) -> Written:
        """DELETE on an object, with DeleteOptions in body or query."""
        options: Mapping[str, Any] = decode_object(request) if request.body.strip() else {}
        policy = options.get("propagationPolicy") or request.argument("propagationPolicy")
        return await self.delete_object(
            collection,
            version,
            (target.namespace, target.name),
            options=options,
            policy=str(policy or ""),
            is_dry_run=is_dry_run(request) or bool(options.get("dryRun")),
        )

    async def delete_object(
        self,
        collection: Collection,
        version: Version,
        key: Key,
        *,
        options: Mapping[str, Any] | None = None,
        policy: str = "",
        is_dry_run: bool = False,
    ) -> Written:
        """Deletes now, or marks for deletion while finalizers hold the object. Raises StatusError."""
        resource = collection.resource
        held = collection.records.get(key)
        if held is None:
            raise not_found(resource.title, resource.group, key[1])
        old = await self._core.as_object(collection, held, version.at)
        objectmeta.check_preconditions(resource, options or {}, old)
        attributes = Attributes(resource, version.at, "DELETE", key[0], key[1], None, old, is_dry_run)
        warnings = await self._core.admission.review(attributes)
        current = collection.records.get(key)
        if current is None:
            raise not_found(resource.title, resource.group, key[1])
        obj = current.decode()
        finalizers = finalizers_left(obj, policy, resource.title)
        if finalizers and is_dry_run:
            return Written(await self._core.as_record(collection, current, version.at), wrote=False)
        if finalizers:
            if mark_for_deletion(obj, finalizers, self._core.clock.stamp()):
                current = self._commit(collection, obj, key, None, is_dry_run=False)
            return Written(await self._core.as_record(collection, current, version.at), 200, warnings)
        if is_dry_run:
            return Written(None, 200, warnings, wrote=False, removed=current)
        removed = self._remove(collection, key)
        if removed.at != version.at:
            # The real server decodes what it deleted into the request's version.
            await self._core.as_record(collection, removed, version.at)
        return Written(None, 200, warnings, removed=removed)

    def rewrite(self, collection: Collection, obj: Object, key: Key) -> None:
        """A write of the system itself, past admission; the deletion when nothing holds a marked object any more."""
        metadata = obj["metadata"]
        is_held = metadata.get("finalizers") or (
            collection.resource.title == "namespaces" and obj["spec"].get("finalizers")
        )
        if metadata.get("deletionTimestamp") and not is_held:
            self._remove(collection, key)
            return
        objectmeta.metadata_of(obj)
        self._commit(collection, obj, key, None, is_dry_run=False)

    def _remove(self, collection: Collection, key: Key) -> Record:
        record = self._core.store.delete(collection, key)
        self._written(collection, record, "DELETED")
        return record


def _patched(change: Callable[[Object], Any], target: Target, old: Object) -> Any:
    """The object after the patch, which may not give it another identity. Raises StatusError 400 or 422."""
    uid = old["metadata"].get("uid")
    new = change(old)
    if isinstance(new, dict) and isinstance(metadata := new.get("metadata"), dict):
        objectmeta.check_address(metadata, target.namespace, target.name)
        if metadata.get("uid", uid) != uid:
            # The real server says it twice: one finding each of two validations.
            finding = invalid_value("metadata.uid", metadata["uid"], "field is immutable")
            group = str(new.get("apiVersion", "")).rpartition("/")[0]
            raise invalid(str(new.get("kind", "")), group, target.name, [finding, finding])
    return new


def is_dry_run(request: SimRequest) -> bool:
    """dryRun=All; anything else is refused. Raises StatusError."""
    value = request.argument("dryRun")
    if value not in {"", "All"}:
        body = f'Unsupported value: ["{value}"]: supported values: "All"'
        raise invalid("CreateOptions", "meta.k8s.io", "", [Cause("dryRun", body, "FieldValueNotSupported")])
    return value == "All"
