import yaml

from app import __version__
from app.main import create_app
from app.resources import Worker
from app.settings import Settings
from tests.proofs import ROOT


def test_openapi_yaml_is_in_step_with_the_app() -> None:
    written = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))

    assert written == create_app(Settings(), Worker()).openapi(), "run: make openapi"


def test_the_service_has_the_version_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert f'version = "{__version__}"' in project
