"""The template language of configs: a strict subset of Go's text/template (TPL-1).

`render` fills in all strings of an object; `parse` reads one of them. The rest is the machinery below: escapes and lexer,
nodes and parser, values, functions and evaluator.
"""

from aioctl.golang.template.document import Rendered, render
from aioctl.golang.template.errors import DECODE_PREFIX, ParseError, Source, TemplateError
from aioctl.golang.template.functions import Builtin, Functions, Takes
from aioctl.golang.template.nodes import Template
from aioctl.golang.template.parser import parse
from aioctl.golang.template.values import OperationError, Value

__all__ = [
    "DECODE_PREFIX",
    "Builtin",
    "Functions",
    "OperationError",
    "ParseError",
    "Rendered",
    "Source",
    "Takes",
    "Template",
    "TemplateError",
    "Value",
    "parse",
    "render",
]
