"""Software bill of materials of a lock: CycloneDX 1.6 as JSON, on stdout.

``python deploy/sbom.py requirements/service-cpu.txt > sbom.json``. It needs no package: the images'
build runs it. A lock for several systems lists all their packages, with the marker that decides.
"""

import json
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

_PIN: Final = re.compile(
    r"(?P<name>[a-z0-9.-]+)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+?))? \\"
)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill_of_materials(lock: Path) -> dict[str, object]:
    """Return the document: a component of each pin, with the hashes of all its files.

    The same lock gives the same document, serial number included.

    Raises:
        ValueError: If the lock pins nothing.
    """
    text = lock.read_text(encoding="utf-8")
    pins = list(_PIN.finditer(text))
    if not pins:
        msg = f"{lock} pins no package: give a file of requirements/ that `make lock` wrote"
        raise ValueError(msg)
    ends = [pin.start() for pin in pins[1:]] + [len(text)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, sha256(text.encode()).hexdigest())}",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": f"vitrine {lock.stem}"}},
        "components": [
            _component(pin, _HASH.findall(text, pin.end(), end))
            for pin, end in zip(pins, ends, strict=True)
        ],
    }


def _component(pin: re.Match[str], hashes: list[str]) -> dict[str, object]:
    name, version = pin["name"], pin["version"]
    purl = f"pkg:pypi/{name}@{version}"
    marker = [{"name": "vitrine:marker", "value": pin["marker"]}] if pin["marker"] else []
    return {
        "type": "library",
        "bom-ref": purl
        if not marker
        else f"{purl}?{sha256(pin['marker'].encode()).hexdigest()[:8]}",
        "name": name,
        "version": version,
        "purl": purl,
        # A package has a file for each system: one of these is installed.
        "hashes": [{"alg": "SHA-256", "content": one} for one in hashes],
        "properties": marker,
    }


if __name__ == "__main__":
    json.dump(bill_of_materials(Path(sys.argv[1])), sys.stdout, indent=1)
