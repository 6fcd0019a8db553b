"""The verb that gives pictures their classes: label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench import networks
from bench.campaign.labelling import store
from bench.campaign.labelling.server import HOST, Page
from bench.campaign.labelling.store import Guess, Labels, Now
from bench.cli import terminal
from bench.cli.options import Input, Json, Quiet, Weights, print_json
from bench.data.readers.folder import readable
from bench.data.readers.pictures import pictures
from bench.errors import UsageError
from bench.files import reason
from bench.prepare import guessing


def label(
    folder: Annotated[Path, typer.Argument(help="Pictures, as bench collect brings them.", metavar="DIR")],
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            help="Those that may be chosen: a .txt file with a name a line, data that has them, or a network, whose "
            "classes are numbers. Without it, the folder's own and any that you type.",
            metavar="FILE|DATA|NETWORK",
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option("--network", help="Show what it makes of each picture, the least certain first.", metavar="MODEL"),
    ] = None,
    weights: Weights = None,
    input_shape: Input = None,
    port: Annotated[int, typer.Option("--port", help="Of the page (default: a free one).", min=0, max=65535)] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put the pictures that lie in a folder into class folders within it, by a page in your browser, until Ctrl-C.

    Digits or typed names choose, Backspace takes back. Each choice is at once a rename on disk. Only this computer can
    open the page, by the address that is printed.

    Examples:

    * `bench label field/ --classes signs.txt`
    * `bench label field/ --classes gtsrb.npz --network net.py:build --weights net.pt --input 3x32x32`
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "Name the one that bench collect wrote to.")
    if weights and not network:
        raise UsageError("--weights are of --network, which is not given", "Add it, or leave --weights out.")
    with store.owned(folder):
        with readable(folder), terminal.watcher(quiet=quiet or as_json) as watcher:
            waiting = sorted(pictures(folder))
            asked = guessing.classes_of(classes) if classes else None
            guesses: dict[str, Guess] = {}
            if network:
                given = networks.parse_inputs(",".join(input_shape)) if input_shape else None
                net = networks.resolve(network, weights=weights, inputs=given)
                asked = asked or guessing.of_network(net)
                found = guessing.guesses(net, waiting, asked, watcher.stage)
                guesses = {name: Guess(*one) for name, one in found.items()}
            names = store.checked(folder, asked.names, asked.source) if asked else store.found(folder)
            labels = Labels(folder, names, more=asked is None, guesses=guesses)
        try:
            page = Page(labels, f"{folder.resolve().name}: label", port)
        except OSError as error:
            raise UsageError(f"port {port} of {HOST} cannot be used: {reason(error)}", "Leave --port out.") from None
        _serve(page, labels, len(waiting), as_json=as_json, quiet=quiet)


def _serve(page: Page, labels: Labels, waiting: int, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json({"url": page.url, "pictures": waiting, "classes": labels.classes})
    else:
        known = f", {len(labels.classes):,} classes" if labels.classes else ""
        terminal.say(f"{waiting:,} pictures{known}. Open {page.url} in this computer's browser; Ctrl-C ends it.")
        terminal.out.file.flush()
    if not (quiet or as_json):
        page.told = _tell
    try:
        page.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass
    finally:
        page.server_close()
    now = labels.now()
    if not (quiet or as_json):
        terminal.say(f"{now.done:,} pictures were labelled, {now.left:,} are left.", to=terminal.err)


def _tell(now: Now) -> None:
    if now.last and now.done and (now.done % 25 == 0 or not now.left):
        terminal.say(f"{now.done:,} labelled, {now.left:,} left", to=terminal.err)
