"""`aioctl ui` on the command line."""

from typing import Final

import click

from aioctl.tool_commands import quiet, session_in
from aioctl.tools.access import Access, Exit
from aioctl.tools.options import Whole, fail, reads_cluster


@click.command()
@click.option("--port", default=0, type=Whole(0, 65535), help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--open", "opens", is_flag=True, help="Open it in a browser, too.")
@reads_cluster(selector=True)
def ui(access: Access, port: int, *, opens: bool) -> None:
    """Serve the operators' page on this machine, from what the kubeconfig may read, until interrupted. Reads only."""
    import contextlib

    import anyio

    from aioctl.serving.http_server import ListenError

    quiet()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            anyio.run(_serve, access, port, opens)
    except ListenError as error:
        fail(str(error), Exit.USAGE)


async def _serve(access: Access, port: int, opens: bool) -> None:  # noqa: FBT001  handed through anyio.run
    import webbrowser

    from aioctl.local_page import LocalPage
    from aioctl.tools.connect import connected

    def started(address: str) -> None:
        click.echo(f"the fleet is at {address} (interrupt to stop)")
        if opens:
            webbrowser.open(address)

    async with connected(access) as connection:
        await LocalPage(await session_in(connection, access), port=port).run(started)


COMMANDS: Final = (ui,)
