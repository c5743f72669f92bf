"""Every parser that meets a user's text takes linear time, whatever the text, and says so instead of crashing.

Texts are made of the words that mean something to the parser: each word alone, and each pair of them, repeated; plain, after
every word, and with a foreign end.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from aioctl.api import carrier_checks, names, user_names
from aioctl.api.admission import review_admission
from aioctl.api.carrier_checks import CARRIERS
from aioctl.api.conversion import convert_object
from aioctl.api.kinds import V1ALPHA1, V1ALPHA2
from aioctl.api.mutation import review_mutation
from aioctl.api.review import BadReview, read_conversion
from aioctl.golang import gourl, quantity
from aioctl.golang.equality import equal
from aioctl.golang.roundtrip import round_trip
from aioctl.golang.template import TemplateError, parse, render
from aioctl.pki import pairs, pem
from aioctl.plan import config, epp_rewriting, urls
from aioctl.plan.config import parse_config
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.model import PlanError
from aioctl.plan.scheduler_config import with_config
from aioctl.plan.templates import root
from aioctl.serving.splitting import BadObjects, Splitter
from aioctl.sim.errors import StatusError
from aioctl.sim.selectors import parse_labels
from tests.growth.measure import not_for_ever, seconds

CACHES = (parse.cache, gourl.go_string.cache, config._PARSED, epp_rewriting._rewritten.cache)
"""What would spare the second run its work."""
SMALL, LARGE = 2048, 8192
FREE = 0.03
"""Seconds for the large text below which growth is of no concern."""
MOST_GROWTH = 9.0
"""For four times the text: linear work takes four times as long, quadratic sixteen times."""
TRIES = 3


def picked(text: str) -> None:
    pod = {"containers": [{"name": "main", "args": ["--config-text", text]}]}
    epp_rewriting.rewrite(pod, epp_rewriting.Picker("ns/svc", "0.10.0", "http://t"))


@dataclass(frozen=True)
class Parser:
    """A parser, the words of its language, and what it raises for a bad text."""

    name: str
    read: Callable[[str], object]
    words: tuple[str, ...]
    refuses: tuple[type[Exception], ...] = ()

    def __str__(self) -> str:
        return self.name

    def run(self, text: str) -> None:
        for known in CACHES:
            known.clear()
        try:
            self.read(text)
        except self.refuses:
            return


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": V1ALPHA2, "kind": "LLMInferenceService", "metadata": {"name": "a"}, "spec": spec}


def annotated(text: str) -> dict[str, Any]:
    return {**service(), "metadata": {"name": "a", "annotations": dict.fromkeys(CARRIERS, text)}}


def converted(text: str) -> None:
    ports = {"targetPortNumber": 1}
    obj = {**annotated(text), "spec": {"model": {}, "router": {"scheduler": {"pool": {"spec": ports}}}}}
    for version, desired in ((V1ALPHA1, V1ALPHA2), (V1ALPHA2, V1ALPHA1)):
        convert_object(json.dumps({**obj, "apiVersion": version}).encode(), desired)


def config_map(key: str, field: str = "", text: str = "") -> object:
    amounts = dict.fromkeys(("memoryRequest", "memoryLimit", "cpuRequest", "cpuLimit"), "1")
    base = {"ingress": '{"ingressGateway":"a/b"}', "storageInitializer": json.dumps(amounts)}
    data = {
        **base,
        key: json.dumps(
            {
                **amounts,
                "enableGatewayApi": field == "kserveIngressGateway",
                field: text,
                "ingressDomain": "x",
            }
        )
        if field
        else text,
    }
    return parse_config({"data": data}, "kserve")


def rendered(text: str) -> object:
    return render({"a": text}, root(service(model={"name": "m"}), GlobalConfig("kserve")))


def admitted(text: str) -> None:
    obj = service(
        model={"uri": text, "name": text, "lora": {"adapters": [{"uri": text}]}}, baseRefs=[{"name": text}]
    )
    request = {"uid": "u", "operation": "CREATE", "object": obj}
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
    review_admission(body.encode(), "application/json", version="v1alpha2", kind="LLMInferenceService")
    review_mutation(body.encode(), "application/json", version="v1alpha2")


def split(text: str) -> None:
    body = f'{{"kind":"ConversionReview","request":{{"uid":"a","objects":[{text}'.encode()
    splitter = Splitter(body)
    for _ in splitter.objects():
        pass
    splitter.envelope()


def rounded(text: str) -> None:
    container = {
        "name": "main",
        "resources": {"limits": {"cpu": text}},
        "livenessProbe": {"httpGet": {"port": text}},
    }
    round_trip({"model": {"uri": text}, "template": {"containers": [container]}})


def named(text: str) -> None:
    names.child(text, "-epp-service")
    names.safe(text, "-kserve")
    for judge in (
        user_names.service_problem,
        user_names.object_problem,
        user_names.model_problem,
        user_names.image_problem,
        user_names.path_problem,
        user_names.key_problem,
        user_names.label_problem,
    ):
        judge(text)


def addressed(text: str) -> None:
    urls.is_internal(text, "cluster.local")
    urls.paths_of({"spec": {"rules": [{"matches": [{"path": {"value": text}}]}]}}, text)


NUMBERS = ("0", "9", ".", "e", "E", "+", "-", "Ki", "m", "00", "x")
URL = ("a", ":", "/", "//", "@", "?", "#", "%", "%41", "%zz", "[", "]", ".", "\u00e9", "..")
JSON = ("[", "{", '{"a":', '"', "\\", "\\u00", "1", "-", ",", "e9", "null", "]", "}")
YAML = (
    "a", ": ", "\n", "- ", "[", "]", "{", "}", ", ", "&a ", "*a ", "'", '"', "|\n ", "? ", "# ", "1", "kind: K\n", "<<: ",
)  # fmt: skip
TEMPLATE = (
    "{{", "}}", "{", "{{ .Spec.Model.Name }}", "{{ (", ")", "`", "{{/*", "*/}}", "{{ if .Spec }}", "{{ end }}",
    "{{ else }}", ".A", " ", "|", '"', "\\", "1", "-", "{{- ", " -}}", "{{ printf `%s` ", "not ",
)  # fmt: skip
PEM = (
    "-----BEGIN A-----\n", "-----END A-----\n", "-----BEGIN :-----\n", "-----END :-----\n", "x: y\n", " \t", "\n",
    "QUJD", "=", "-----", "X:-----BEGIN A-----\n",
)  # fmt: skip
NAMES = ("a", "-", ".", "*", "\x00", "/", "_", "A", "..", "$")
REVIEW = ('{"apiVersion":"', '"},', "{", "}", '},{"apiVersion":"', '"', "\\", "[", "]", ",", "a")
PARSERS = (
    Parser("quantity.canonical", quantity.canonical, NUMBERS, (ValueError,)),
    Parser("quantity.parse", quantity.parse, NUMBERS, (ValueError,)),
    Parser("equality", lambda text: equal({"cpu": text}, {"cpu": text + "0"}), NUMBERS),
    Parser("gourl", gourl.parse, URL, (gourl.UrlError,)),
    Parser("round trip", rounded, (*NUMBERS, *URL[1:6]), (Exception,)),
    Parser("carriers", lambda text: list(carrier_checks.problems(annotated(text))), JSON),
    Parser("conversion", converted, JSON),
    Parser("conversion review", lambda text: read_conversion(text.encode()), JSON, (Exception,)),
    Parser("splitting", split, REVIEW, (BadReview, BadObjects)),
    Parser("admission", admitted, (*URL, "\n", "{{")),
    Parser("config map ingress", partial(config_map, "ingress", ""), JSON, (PlanError,)),
    Parser("config map storage", partial(config_map, "storageInitializer", ""), JSON, (PlanError,)),
    Parser("config map credentials", partial(config_map, "credentials", ""), JSON, (PlanError,)),
    Parser("config map gateway", partial(config_map, "ingress", "kserveIngressGateway"), NAMES, (PlanError,)),
    Parser("config map path", partial(config_map, "ingress", "pathTemplate"), TEMPLATE, (PlanError,)),
    Parser(
        "config map quantity", partial(config_map, "storageInitializer", "cpuModelcar"), NUMBERS, (PlanError,)
    ),
    Parser("template", rendered, TEMPLATE, (TemplateError,)),
    Parser("PEM", lambda text: pem.first_block(text.encode()), PEM),
    Parser("certificate", lambda text: pairs.parse_pair(text.encode(), text.encode()), PEM),
    Parser("names", named, NAMES),
    Parser("addresses", addressed, ("1", ".", ":", "/", "::", "%", "f")),
    Parser(
        "picker arguments",
        lambda text: with_config({"containers": [{"name": "main", "args": [text]}]}, {}, None),
        ("-", "=", "a", " ", "config"),
    ),
    Parser("picker configuration", picked, YAML),
    Parser("label selector", parse_labels, ("a", ",", "(", ")", " in ", "=", "!", " "), (StatusError,)),
)


def texts(words: tuple[str, ...], size: int, every: int = 1) -> Iterator[tuple[str, str]]:
    """(what it is, the text) of about so many characters. Of the pairs of words only every so many-th."""
    pairs = itertools.islice(itertools.permutations(words, 2), 0, None, every)
    pumps = [*words, *map("".join, pairs)]
    for pump in pumps:
        body = pump * (size // len(pump))
        for way, end in (("", ""), ("", "\x01"), (words[0], ""), (words[-1], words[0])):
            yield f"{way!r} + {pump!r}... + {end!r}", way + body + end


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.thorough)], ids=["sample", "all"])
@pytest.mark.parametrize("parser", PARSERS, ids=str)
def test_a_parser_takes_linear_time(parser: Parser, every: int) -> None:
    """Every word alone, and pairs of words."""
    small = dict(texts(parser.words, SMALL, every))
    for what, text in texts(parser.words, LARGE, every):
        growth = 0.0
        for _ in range(TRIES):
            with not_for_ever(f"{parser}: {what}"):
                large = seconds(partial(parser.run, text), enough=FREE)
            if large <= FREE:
                break
            growth = large / seconds(partial(parser.run, small[what]), enough=0.0)
            if growth <= MOST_GROWTH:
                break
        else:
            pytest.fail(f"{parser}: {what} takes {growth:.0f} times as long for four times the text")
