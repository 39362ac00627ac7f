"""A configuration is read whole or refused, and its reference stands in the documents."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from models.domain.units import SECOND_US
from tests.proofs import ROOT
from training.configuration import ConfigurationError, RunConfig, TreeConfig

SIGNS = {Gt: ("above", "gt"), Ge: ("at least", "ge"), Lt: ("below", "lt"), Le: ("at most", "le")}


def reference(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The rows of the table of keys in docs/training.md."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from reference(field.annotation, f"{prefix}{name}.")
            continue
        bounds = ", ".join(
            f"{SIGNS[type(bound)][0]} {getattr(bound, SIGNS[type(bound)][1]):g}"
            for bound in field.metadata
            if type(bound) in SIGNS
        )
        is_tuple = isinstance(field.default, tuple)
        default = str(list(field.default) if is_tuple else field.default).lower()
        yield f"| `{prefix}{name}` | {default} | {bounds} | {field.description} |"


def test_the_document_lists_every_key_with_its_default_bounds_and_meaning() -> None:
    document = (ROOT / "docs/training.md").read_text(encoding="utf-8")

    listed = [line for line in document.splitlines() if line.startswith("| `")]
    keys = [line for line in listed if line.count("|") == 5]
    assert keys == list(reference(RunConfig))


def test_a_toml_file_and_a_json_file_say_the_same(tmp_path: Path) -> None:
    toml, json = tmp_path / "run.toml", tmp_path / "run.json"
    toml.write_text("caller_orders = true\noutcome_hours = 0.5\n[trees]\nleaves = 7\n")
    json.write_text('{"caller_orders": true, "outcome_hours": 0.5, "trees": {"leaves": 7}}')

    expected = RunConfig(caller_orders=True, outcome_hours=0.5, trees=TreeConfig(leaves=7))
    assert RunConfig.read(toml) == RunConfig.read(json) == expected
    assert expected.outcome_us == 30 * 60 * SECOND_US


def test_options_go_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("max_topics = 3\nhalf_lives_hours = [1, 2, 3, 4]\n")

    found = RunConfig.read(path, half_lives_hours=(2.0, 4.0, 8.0, 16.0), objective=None)

    assert found == RunConfig(max_topics=3, half_lives_hours=(2.0, 4.0, 8.0, 16.0))


def test_a_key_that_is_unknown_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("seed = 3\n")

    with pytest.raises(ConfigurationError, match="seed: there is no such key"):
        RunConfig.read(path)


def test_a_wrong_option_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"configuration by options: .*have to ascend"):
        RunConfig.read(None, half_lives_hours=(6.0, 1.0, 48.0, 336.0))


def test_without_a_file_defaults_hold() -> None:
    assert RunConfig.read(None) == RunConfig()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("caller_order = true", "caller_order"),
        ("[trees]\nleafs = 7", r"trees\.leafs"),
        ("[trees]\nleaves = 1", "greater than 1"),
        ("holdout_share = 1.0", "less than 1"),
        ("outcome_hours = inf", "finite number"),
        ("outcome_hours = 1e300", "less than or equal to 8760"),
        ("negatives_per_visit = 'many'", "valid integer"),
        ("half_lives_hours = [1, 6, 6, 336]", "have to ascend"),
        ("half_lives_hours = [0, 1, 6, 48]", "have to ascend, from above 0"),
        ("half_lives_hours = [1, 6, 48, 336.5]", "at most 336 hours"),
        ("half_lives_hours = [1, 6, 48]", "four numbers of hours, such as 1 6 48 336, got 1 6 48"),
        ('half_lives_hours = ["x", 1, 6, 48]', "four numbers of hours"),
        ("half_lives_hours = 3", "four numbers of hours"),
        ("holdout_share", "after a key"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=rf"(?s)configuration {path}: .*{reason}"):
        RunConfig.read(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [("run.toml", "max_topics = 3\nmax_topics = 9\n"), ("run.json", '{"trees": {}, "trees": {}}')],
)
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=r"Cannot overwrite a value|'trees' twice"):
        RunConfig.read(path)


def test_a_file_that_is_absent_or_no_text_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "run.json"
    binary.write_bytes(b"\xff\xfe\x00")

    for path in (tmp_path / "absent.toml", binary):
        with pytest.raises(ConfigurationError, match=f"configuration {path}: "):
            RunConfig.read(path)
