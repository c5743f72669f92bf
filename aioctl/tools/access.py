"""What the command line says of a cluster, and how a command ends that cannot use it.

Exit codes of every command that reads a cluster: 0 fine, 1 somebody has to act, 2 the command line names what is not there
(option, context, service), 3 the cluster could not be read (not reachable, no access, none of our CRDs).
"""

from dataclasses import dataclass
from enum import IntEnum

from aioctl.api import user_names


class Exit(IntEnum):
    """What the exit code of a command says."""

    FINE = 0
    ACT = 1
    USAGE = 2
    UNREADABLE = 3


class ToolError(Exception):
    """The command cannot do what was asked; the text is one sentence that names the cause."""

    def __init__(self, text: str, code: Exit = Exit.UNREADABLE) -> None:
        super().__init__(text)
        self.code = code


def check_namespace(name: str, given_by: str) -> None:
    """Raises ToolError for what no namespace can be called; `given_by`: the option or field. Empty means none, or all."""
    if name and user_names.LABEL.fullmatch(name) is None:
        form = "lower-case letters, digits and '-', at most 63 characters"
        raise ToolError(f'{given_by} "{name}": a namespace has {form}', Exit.USAGE)


@dataclass(frozen=True, slots=True)
class Access:
    """What the command line says of the cluster. `namespace` empty: that of the context; `everywhere`: all of them."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    everywhere: bool = False
    selector: str = ""

    def nothing(self, namespace: str) -> str:
        """What is said where no service is: of one namespace, or with an empty one of all."""
        labels = f" with labels {self.selector}" if self.selector else ""
        return f"no services{labels} in {f'namespace {namespace}; -A means all' if namespace else 'any namespace'}"

    def __post_init__(self) -> None:
        if self.namespace and self.everywhere:
            raise ToolError("-n and -A exclude each other", Exit.USAGE)
