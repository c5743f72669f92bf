"""Lists, pages, selectors, watches and what may be read of objects whose content nobody wants."""

import pytest

from aioctl.kube.client import METADATA_LIST_ONLY, METADATA_ONLY
from tests.contract.samples import MAPS, WAITS, config_map, service, services
from tests.contract.servers import Server

COLOURS = {"a": "red", "b": "blue", "c": "red", "d": ""}


def coloured(server: Server, namespace: str) -> str:
    """Four ConfigMaps with a colour; answers their path."""
    path = MAPS.format(namespace)
    for name, colour in COLOURS.items():
        labels = {"colour": colour, "letter": name} if colour else {"letter": name}
        assert server("POST", path, config_map(name, labels=labels)).status == 201
    return path


def listed(server: Server, path: str, **query: str) -> list[str]:
    answer = server("GET", path, **query)
    assert answer.status == 200, answer.body
    return [item["metadata"]["name"] for item in answer.body["items"]]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("colour=red", "ac"),
        ("colour==red,letter=a", "a"),
        ("colour!=red", "bd"),
        ("colour", "abc"),
        ("!colour", "d"),
        ("colour in (red,blue)", "abc"),
        ("colour notin (red)", "bd"),
        ("colour in (red),letter notin (c)", "a"),
    ],
)
def test_label_selectors_choose(server: Server, namespace: str, selector: str, expected: str) -> None:
    assert listed(server, coloured(server, namespace), labelSelector=selector) == list(expected)


@pytest.mark.parametrize(("selector", "expected"), [("metadata.name=b", "b"), ("metadata.name!=b", "acd")])
def test_field_selectors_choose_by_name(server: Server, namespace: str, selector: str, expected: str) -> None:
    assert listed(server, coloured(server, namespace), fieldSelector=selector) == list(expected)


def test_pages_of_one_list_show_one_moment(server: Server, namespace: str) -> None:
    path = coloured(server, namespace)
    first = server("GET", path, limit="2")
    assert first.body["metadata"]["remainingItemCount"] == 2
    server("DELETE", f"{path}/c")
    server("POST", path, config_map("e"))
    token = first.body["metadata"]["continue"]
    second = server("GET", path, limit="2", **{"continue": token})
    assert [item["metadata"]["name"] for item in second.body["items"]] == ["c", "d"]
    assert second.version == first.version
    assert "continue" not in second.body["metadata"]
    assert listed(server, path) == ["a", "b", "d", "e"]


def test_a_page_of_a_selection_does_not_say_how_many_are_left(server: Server, namespace: str) -> None:
    page = server("GET", coloured(server, namespace), limit="1", labelSelector="colour=red").body
    assert "remainingItemCount" not in page["metadata"]
    assert page["metadata"]["continue"]


def test_items_of_built_in_lists_carry_no_type_and_those_of_custom_kinds_do(
    server: Server, namespace: str
) -> None:
    path = coloured(server, namespace)
    found = server("GET", path).body
    assert (found["kind"], found["apiVersion"]) == ("ConfigMapList", "v1")
    assert not {"kind", "apiVersion"} & set(found["items"][0])
    server("POST", services(namespace), service())
    found = server("GET", services(namespace)).body
    assert found["kind"] == "LLMInferenceServiceList"
    assert found["items"][0]["kind"] == "LLMInferenceService"


def test_metadata_only_reads_carry_metadata_only(server: Server, namespace: str) -> None:
    server("POST", services(namespace), service())
    path = services(namespace, name="svc")
    one = server("GET", path, accept=METADATA_ONLY).body
    assert set(one) == {"kind", "apiVersion", "metadata"}
    assert (one["kind"], one["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    many = server("GET", services(namespace), accept=METADATA_LIST_ONLY).body
    assert (many["kind"], many["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert [item["metadata"]["name"] for item in many["items"]] == ["svc"]
    assert "spec" not in many["items"][0]
    since = many["metadata"]["resourceVersion"]
    with server.watch(services(namespace), accept=METADATA_ONLY, resourceVersion=since) as events:
        server.merge(path, {"metadata": {"labels": {"a": "b"}}})
        event = events.next()
    assert (event["type"], event["object"]["kind"]) == ("MODIFIED", "PartialObjectMetadata")
    assert "spec" not in event["object"]


def test_a_watch_shows_every_change_after_its_revision_in_order(server: Server, namespace: str) -> None:
    path = MAPS.format(namespace)
    since = server("GET", path).version
    server("POST", path, config_map("a"))
    with server.watch(path, resourceVersion=since) as events:
        server.merge(f"{path}/a", {"data": {"x": "1"}})
        server.merge(f"{path}/a", {"data": {"x": "1"}})
        server("DELETE", f"{path}/a")
        server("POST", path, config_map("b"))
        assert events.take(4) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]


def test_a_deleted_event_carries_the_revision_of_the_deletion(server: Server, namespace: str) -> None:
    path = services(namespace)
    made = server("POST", path, service())
    with server.watch(path, resourceVersion=made.version) as events:
        server("DELETE", f"{path}/svc")
        event = events.next()
    assert event["type"] == "DELETED"
    assert event["object"]["metadata"]["uid"] == made.body["metadata"]["uid"]
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(made.version)


def test_an_object_held_by_a_finalizer_is_modified_first(server: Server, namespace: str) -> None:
    path = services(namespace)
    body = service()
    body["metadata"]["finalizers"] = ["example.com/hold"]
    made = server("POST", path, body)
    with server.watch(path, resourceVersion=made.version) as events:
        server("DELETE", f"{path}/svc")
        server.merge(f"{path}/svc", {"metadata": {"finalizers": None}})
        assert events.take(2) == [("MODIFIED", "svc"), ("DELETED", "svc")]


@pytest.mark.parametrize("revision", ["", "0"])
def test_a_watch_without_revision_begins_with_everything(
    server: Server, namespace: str, revision: str
) -> None:
    path = coloured(server, namespace)
    query = {"resourceVersion": revision} if revision else {}
    with server.watch(path, **query) as events:
        assert sorted(events.take(4)) == [("ADDED", name) for name in COLOURS]


def test_a_selecting_watch_sees_objects_come_and_go(server: Server, namespace: str) -> None:
    path = coloured(server, namespace)
    since = server("GET", path).version
    with server.watch(path, resourceVersion=since, labelSelector="colour=blue") as events:
        server.merge(f"{path}/a", {"metadata": {"labels": {"colour": "blue"}}})
        server.merge(f"{path}/d", {"data": {"not": "seen"}})
        server.merge(f"{path}/b", {"metadata": {"labels": {"colour": "red"}}})
        assert events.take(2) == [("ADDED", "a"), ("DELETED", "b")]


def test_a_watch_on_one_name_sees_that_object_only(server: Server, namespace: str) -> None:
    path = coloured(server, namespace)
    since = server("GET", path).version
    with server.watch(path, resourceVersion=since, fieldSelector="metadata.name=b") as events:
        for name in "ab":
            server.merge(f"{path}/{name}", {"data": {"x": "1"}})
        assert events.take(1) == [("MODIFIED", "b")]


def test_a_watch_of_all_namespaces_sees_each(server: Server) -> None:
    spaces = [server.namespace(), server.namespace()]
    path = "/apis/serving.kserve.io/v1alpha2/llminferenceservices"
    since = server("GET", path).version
    with server.watch(path, resourceVersion=since) as events:
        for space in spaces:
            server("POST", services(space), service())
        found = [events.next()["object"]["metadata"]["namespace"] for _ in spaces]
    assert found == spaces


def test_a_streamed_list_ends_with_a_marked_bookmark(server: Server, namespace: str) -> None:
    path = coloured(server, namespace)
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "resourceVersion": ""}
    with server.watch(path, **query) as events:
        assert sorted(events.take(4)) == [("ADDED", name) for name in COLOURS]
        mark = events.next(bookmarks=True)
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_watch_from_forgotten_history_gets_a_gone_event(server: Server, namespace: str) -> None:
    path = services(namespace)
    server("POST", path, service())
    if server.name == "sim":
        # The real server's cache begins when the CRD is served; the simulated one keeps a hundred changes.
        for number in range(120):
            server.merge(f"{path}/svc", {"metadata": {"labels": {"n": str(number)}}})
    with server.watch(path, resourceVersion="1") as events:
        event = events.next()
        assert event["type"] == "ERROR"
        status = event["object"]
        assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
        assert status["message"].startswith("too old resource version: 1 (")
        with pytest.raises(EOFError):
            events.next()


def test_a_page_of_a_list_that_is_too_old_is_gone(server: Server, namespace: str) -> None:
    path = services(namespace)
    for name in "abc":
        server("POST", path, service(name))
    answer = server("GET", path, limit="1", **{"continue": server.forget_pages(path)})
    assert (answer.status, answer.body["reason"]) == (410, "Expired")
    assert answer.message.startswith(
        "The provided continue parameter is too old to display a consistent list result."
    )


@WAITS
def test_bookmarks_tell_of_what_a_watch_did_not_show(server: Server, namespace: str) -> None:
    path, other = MAPS.format(namespace), MAPS.format(server.namespace())
    since = server("GET", path).version
    with server.watch(path, resourceVersion=since, timeoutSeconds="6") as events:
        made = server("POST", other, config_map("elsewhere"))
        mark = events.next(bookmarks=True)
        assert (mark["type"], mark["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
        assert int(mark["object"]["metadata"]["resourceVersion"]) >= int(made.version)
        assert "data" not in mark["object"]
        with pytest.raises(EOFError):
            events.next()
    with server.watch(path, resourceVersion=mark["object"]["metadata"]["resourceVersion"]) as events:
        server("POST", path, config_map("here"))
        assert events.take(1) == [("ADDED", "here")]


@WAITS
def test_a_watch_without_bookmarks_gets_none(server: Server, namespace: str) -> None:
    path, other = MAPS.format(namespace), MAPS.format(server.namespace())
    since = server("GET", path).version
    query = {"allowWatchBookmarks": "false", "timeoutSeconds": "6"}
    with server.watch(path, resourceVersion=since, **query) as events:
        server("POST", other, config_map("elsewhere"))
        with pytest.raises(EOFError):
            events.next(bookmarks=True)


def test_a_watch_on_labels_chosen_as_the_controller_does(server: Server, namespace: str) -> None:
    path = services(namespace)
    label = "app.kubernetes.io/part-of"
    since = server("GET", path).version
    with server.watch(path, resourceVersion=since, labelSelector=f"{label}=llminferenceservice") as events:
        for name, value in (("a", "other"), ("b", "llminferenceservice")):
            body = service(name)
            body["metadata"]["labels"] = {label: value}
            server("POST", path, body)
        server("DELETE", f"{path}/b")
        assert events.take(2) == [("ADDED", "b"), ("DELETED", "b")]


def test_a_watch_ends_after_its_time(server: Server, namespace: str) -> None:
    with (
        server.watch(MAPS.format(namespace), resourceVersion="0", timeoutSeconds="1") as events,
        pytest.raises(EOFError),
    ):
        events.next()


def test_a_collection_is_deleted_by_selection(server: Server, namespace: str) -> None:
    path = coloured(server, namespace)
    assert server("DELETE", path, labelSelector="colour=red").status == 200
    assert listed(server, path) == ["b", "d"]
