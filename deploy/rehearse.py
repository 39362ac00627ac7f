"""Run the steps of the Dockerfile in a clean root, where no container engine runs.

As root, on Debian::

    debootstrap --variant=minbase --include=python3-venv,ca-certificates bookworm ROOT
    mount --types proc proc ROOT/proc
    python deploy/rehearse.py --root ROOT --target cpu --bundles models/bundles

All stages run in the one ROOT, in the order in which an engine would build them. Then the image's
command is started as the image's user, and its health check must pass; a command without one must
end with 0. Not covered: the base image itself, and that a stage holds no files of the others.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from typing import Any

START_S = 60
# Certificates and mirrors of the package index are those of the machine, not of the image.
PASSED_ON = ("SSL_CERT_", "PIP_CERT", "VITRINE_")
PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_IN_THE_IMAGE = shutil.ignore_patterns("__pycache__", "bundles", "*.so")


@dataclass(frozen=True)
class Step:
    """One instruction of a Dockerfile, its lines joined."""

    verb: str
    rest: str


def stages(dockerfile: str) -> dict[str, list[Step]]:
    """Split a Dockerfile into its named stages; the first step of each is its FROM."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[Step]] = {}
    steps: list[Step] = []
    for line in filter(None, text.splitlines()):
        step = Step(*line.split(maxsplit=1))
        if step.verb == "FROM":
            steps = found[step.rest.split(" AS ")[1]] = []
        steps.append(step)
    return found


def outside() -> dict[str, str]:
    """Return the machine's environment variables that are passed to the steps."""
    seen = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}  # noqa: TID251 - not a setting
    return {"PATH": PATH, **seen}


@dataclass(frozen=True)
class Image:
    """Configuration of a stage: user, variables, labels, command, health check."""

    workdir: str = "/"
    user: str = "0"
    environment: dict[str, str] = field(default_factory=outside)
    command: list[str] = field(default_factory=list[str])
    health: list[str] = field(default_factory=list[str])
    labels: dict[str, str] = field(default_factory=dict[str, str])

    def after(self, step: Step) -> "Image":
        """Return the image after an instruction.

        Raises:
            ValueError: If the instruction is not supported.
        """
        changed: dict[str, Any]
        match step.verb:
            case "ENV":
                changed = {"environment": self.environment | self._variables(step.rest)}
            case "LABEL":
                changed = {"labels": self.labels | self._variables(step.rest)}
            case "WORKDIR" | "USER":
                changed = {step.verb.lower(): step.rest}
            case "CMD":
                changed = {"command": json.loads(step.rest)}
            case "HEALTHCHECK":
                command = step.rest.partition("CMD")[2]
                changed = {"health": json.loads(command) if command else []}
            case "RUN" | "COPY" | "EXPOSE":
                changed = {}
            case _:
                msg = f"deploy/rehearse.py does not support {step.verb}: add it, or do without"
                raise ValueError(msg)
        return replace(self, **changed)

    def _variables(self, rest: str) -> dict[str, str]:
        pairs = (pair.partition("=") for pair in shlex.split(rest))
        return {name: Template(v).safe_substitute(self.environment) for name, _, v in pairs}


@dataclass(frozen=True)
class Rehearsal:
    """Builds stages into one root directory."""

    root: Path
    context: Path
    stages: dict[str, list[Step]]
    built: dict[str, Image] = field(default_factory=dict[str, Image])

    def build(self, name: str) -> Image:
        """Run the steps of a stage after those of its parent stages, each stage once."""
        if name not in self.stages:
            return Image()
        if name not in self.built:
            parent, *steps = self.stages[name]
            image = self.build(parent.rest.split(" AS ")[0])
            for step in steps:
                image = image.after(step)
                self._run(step, image)
            self.built[name] = image
        return self.built[name]

    def inside(self, image: Image, *command: str) -> list[str]:
        """Return a command line that runs a command in the root, as the image's user."""
        variables = [f"{name}={value}" for name, value in image.environment.items()]
        go = ["sh", "-c", 'cd "$0" && exec "$@"', image.workdir, *command]
        return ["chroot", f"--userspec={image.user}", str(self.root), "env", "-i", *variables, *go]

    def start(self, image: Image) -> float:
        """Start the image's command, and return the seconds until it was healthy.

        Raises:
            RuntimeError: If it ended, or was not healthy in time.
        """
        begun = time.monotonic()
        service = subprocess.Popen(self.inside(image, *image.command))
        try:
            while not self._healthy(image):
                seconds = time.monotonic() - begun
                if service.poll() is not None or seconds > START_S:
                    msg = f"not healthy after {seconds:.0f} s, exit status {service.poll()}"
                    raise RuntimeError(msg)
                time.sleep(0.1)
            return time.monotonic() - begun
        finally:
            service.terminate()
            service.wait()

    def _healthy(self, image: Image) -> bool:
        check = self.inside(image, *image.health)
        return subprocess.run(check, check=False, capture_output=True).returncode == 0

    def _run(self, step: Step, image: Image) -> None:
        print(f"{step.verb} {' '.join(step.rest.split())[:90]}", flush=True)
        if step.verb == "RUN":
            subprocess.run(self.inside(image, "sh", "-ec", step.rest), check=True)
        elif step.verb == "WORKDIR":
            self._path(image, "").mkdir(parents=True, exist_ok=True)
        elif step.verb == "COPY":
            self._copy(step.rest, image)

    def _copy(self, rest: str, image: Image) -> None:
        source, target = rest.split()[-2:]
        stage = re.match(r"--from=(\S+)", rest)
        if stage:
            self.build(stage[1])
            if source != target:
                msg = f"stages share one root here, so COPY --from cannot rename: {rest}"
                raise ValueError(msg)
            return
        origin, path = self.context / source, self._path(image, target)
        if origin.is_dir():
            shutil.copytree(origin, path, ignore=NOT_IN_THE_IMAGE, dirs_exist_ok=True)
        else:
            shutil.copy(origin, path)

    def _path(self, image: Image, target: str) -> Path:
        return self.root / Path(image.workdir, target).relative_to("/")


def main() -> None:
    """Rehearse one target."""
    parser = argparse.ArgumentParser(description="Run the Dockerfile's steps in a clean root.")
    parser.add_argument("--root", type=Path, required=True, help="a root made by debootstrap")
    parser.add_argument("--context", type=Path, default=Path(), help="the checkout")
    parser.add_argument("--target", choices=["cpu", "gpu", "training"], default="gpu")
    parser.add_argument(
        "--bundles", type=Path, help="mounted in the image; start the service on it"
    )
    options = parser.parse_args()

    # Debian has no `python`, the base image has.
    (options.root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    dockerfile = (options.context / "Dockerfile").read_text(encoding="utf-8")
    rehearsal = Rehearsal(root=options.root, context=options.context, stages=stages(dockerfile))
    image = rehearsal.build(options.target)
    if not image.health:
        subprocess.run(rehearsal.inside(image, *image.command), check=True)
    elif options.bundles:
        shutil.copytree(options.bundles, options.root / "srv/vitrine/models/bundles")
        print(f"healthy after {rehearsal.start(image):.1f} s")


if __name__ == "__main__":
    main()
