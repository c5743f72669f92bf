"""The template language of configs: a strict subset of Go's text/template (TPL-1).

`render` fills in all strings of an object; `parse` reads one of them. The rest is the machinery below: escapes and lexer,
nodes and parser, values, functions and evaluator, the root object.
"""

from aioctl.plan.template.document import render
from aioctl.plan.template.errors import DECODE_PREFIX, ParseError, Source, TemplateError
from aioctl.plan.template.parser import parse
from aioctl.plan.template.root import root

__all__ = ["DECODE_PREFIX", "ParseError", "Source", "TemplateError", "parse", "render", "root"]
