"""The studio: a local web app over a folder of runs. What it does stands in modules without a server.

`listing`, `explore`, `human`, `playground` and `form` are plain functions on run folders; `server` puts them
behind addresses, `security` decides who may ask, `paths` what may be read.
"""

from __future__ import annotations

from pathlib import Path


def studio(folder: str | Path = "runs", host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve the studio over the run folders of `folder` until it is interrupted (Ctrl-C).

    host  the loopback address by default. Any other needs the token that is printed with the address

    InputError where the folder is a file, the port is taken, or FastAPI and uvicorn are not installed.
    """
    from duel.errors import InputError

    try:
        from duel.studio.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("fastapi", "starlette", "uvicorn", "anyio"):
            raise
        raise InputError(
            f"the studio needs {error.name}, which is not installed: pip install 'duel[studio]'"
        ) from error
    serve(Path(folder), host, port)
