"""The chart, rendered by Helm: valid for several versions of Kubernetes, safe, and in step."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft7Validator

from app.settings import PREFIX, Settings
from deploy.helm import NoHelmError, take_helm
from tests.end_to_end.in_process import run_here
from tests.proofs import ROOT

CHART: Final = ROOT / "deploy" / "chart"
TOOLS: Final = Path(sys.prefix) / "charts"
HELM: Final = TOOLS / "helm"
VERSIONS: Final = ("1.30", "1.36")
EVERYTHING: Final = (
    *("monitoring.serviceMonitor=true", "monitoring.alerts=true", "monitoring.dashboard=true"),
    *("bundles.from=s3://shop/bundles", "autoscaling.enabled=false", "settings.VITRINE_WORKERS=2"),
    *("environmentFrom={bucket}", "networkPolicy.storeTo[0].podSelector.matchLabels.app=store"),
)
OF_OPERATOR: Final = "monitoring.coreos.com/v1"
Objects = Sequence[Mapping[str, Any]]

pytestmark = [
    pytest.mark.charts,
    pytest.mark.skipif(not HELM.exists(), reason="needs Helm, which `make` brings"),
]


def template(*values: str) -> subprocess.CompletedProcess[str]:
    """Render a release named `shop`."""
    options = [option for value in values for option in ("--set", value)]
    command = [HELM, "template", "shop", CHART, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@cache
def rendered(*values: str) -> Objects:
    """The objects of the release."""
    done = template(*values)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def refusal(value: str) -> str:
    """What Helm says of a value that the chart refuses."""
    done = template(value)
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize("value", ["keys.secret", "store.secret", "nightly.secret"])
def test_a_secret_without_a_name_is_refused(value: str) -> None:
    assert f"{value}: name the Secret" in refusal(f"{value}=")


@pytest.mark.parametrize("value", ["imagee", "settings.VITRINE_KEY", "export.enabld"])
def test_a_value_that_the_chart_does_not_know_is_refused(value: str) -> None:
    """Else a word that is misspelt installs, and does nothing."""
    assert f"'{value.rpartition('.')[2]}'" in refusal(f"{value}=a")


def test_settings_of_the_chart_are_those_of_the_service() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    names = schema["properties"]["settings"]["propertyNames"]["enum"]
    assert names == sorted(PREFIX + name.upper() for name in Settings.model_fields)


def of_kind(kind: str, *values: str) -> Objects:
    return [one for one in rendered(*values) if one["kind"] == kind]


def pods(*values: str) -> Iterator[Mapping[str, Any]]:
    """The specifications of all pods."""
    for one in rendered(*values):
        if one["kind"] == "Deployment":
            yield one["spec"]["template"]["spec"]
        elif one["kind"] == "CronJob":
            yield one["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def containers(*values: str) -> Iterator[Mapping[str, Any]]:
    for pod in pods(*values):
        yield from (*pod.get("initContainers", ()), *pod["containers"])


@cache
def validator(version: str, name: str) -> Draft7Validator:
    """The schema of a kind in a version, which refuses unknown fields."""
    folder = TOOLS / f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict"
    schema = (folder / f"{name}.json").read_text(encoding="utf-8")
    definitions = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))
    return Draft7Validator(json.loads(schema.replace('"_definitions.json#', '"#')) | definitions)


def faults(version: str, one: Mapping[str, Any]) -> list[str]:
    """What a version of Kubernetes would refuse of an object."""
    group = one["apiVersion"].replace(".k8s.io", "").replace("/", "-")
    found = validator(version, f"{one['kind'].lower()}-{group}").iter_errors(one)  # pyright: ignore[reportUnknownMemberType] - untyped
    return [f"{error.json_path}: {error.message}" for error in found]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", [(), EVERYTHING], ids=["default", "everything"])
def test_kubernetes_takes_every_object(values: tuple[str, ...], version: str) -> None:
    own = [one for one in rendered(*values) if one["apiVersion"] != OF_OPERATOR]

    assert {one["kind"]: faults(version, one) for one in own if faults(version, one)} == {}


def test_a_field_that_is_misspelt_would_be_found() -> None:
    [deployment] = of_kind("Deployment")
    wrong = json.loads(json.dumps(deployment).replace("enableServiceLinks", "enableServiceLink"))

    assert any("enableServiceLink" in fault for fault in faults(VERSIONS[0], wrong))


def test_the_chart_is_accepted_by_lint() -> None:
    done = subprocess.run(
        [HELM, "lint", CHART, "--strict"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_default_and_all_objects() -> None:
    usual = {
        *("Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "CronJob"),
        "HorizontalPodAutoscaler",
    }

    assert {one["kind"] for one in rendered()} == usual
    assert {one["kind"] for one in rendered(*EVERYTHING)} == (
        usual - {"HorizontalPodAutoscaler"} | {"ServiceMonitor", "PrometheusRule", "ConfigMap"}
    )


def test_no_pod_has_more_rights_than_it_needs() -> None:
    for pod in pods():
        assert (pod["enableServiceLinks"], pod["automountServiceAccountToken"]) == (False, False)
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in containers():
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_no_probe_asks_for_more_than_the_process_itself() -> None:
    """`/health/full` fails in an outage of the store, which restarts help nothing against."""
    [service] = [one for one in containers() if "livenessProbe" in one]

    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    paths = {name: service[name]["httpGet"]["path"] for name in probes}
    assert paths == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }


@pytest.mark.parametrize("values", [(), EVERYTHING], ids=["default", "everything"])
def test_variables_are_settings_and_secrets_are_files(values: tuple[str, ...]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    variables = [each for one in containers(*values) for each in one["env"]]

    assert {each["name"] for each in variables} - known == {"HOME"}
    assert [each for each in variables if "valueFrom" in each] == []
    assert "VITRINE_REDIS_URL" not in {each["name"] for each in variables}


def test_every_volume_is_mounted_and_every_mount_is_a_volume() -> None:
    for values in ((), EVERYTHING):
        for pod in pods(*values):
            each = (*pod.get("initContainers", ()), *pod["containers"])
            mounted = {mount["name"] for one in each for mount in one["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_jobs_call_commands_with_options_that_they_have() -> None:
    for one in containers(*EVERYTHING):
        if "command" not in one:
            continue
        program = [word for word in one["command"][2:] if not word.startswith("--")]
        shown = run_here(*program, "--help", COLUMNS="200", TERM="dumb").output
        options = [word for word in (*one["command"], *one["args"]) if word.startswith("--")]
        for option in options:
            assert option.partition("=")[0] in shown, (program, option)


def test_the_operator_gets_the_alerts_and_grafana_the_dashboard() -> None:
    [rules] = of_kind("PrometheusRule", *EVERYTHING)
    [dashboard] = of_kind("ConfigMap", *EVERYTHING)
    [monitor] = of_kind("ServiceMonitor", *EVERYTHING)

    alerts = (ROOT / "deploy/monitoring/alerts.yaml").read_text(encoding="utf-8")
    assert rules["spec"] == yaml.safe_load(alerts)
    shown = (ROOT / "deploy/monitoring/dashboard.json").read_text(encoding="utf-8")
    assert json.loads(dashboard["data"]["vitrine.json"]) == json.loads(shown)
    [endpoint] = monitor["spec"]["endpoints"]
    [service] = of_kind("Service", *EVERYTHING)
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= service["metadata"]["labels"].items()


def test_services_and_budgets_select_the_pods() -> None:
    [deployment] = of_kind("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    [service], [budget] = of_kind("Service"), of_kind("PodDisruptionBudget")
    [policy], [scaler] = of_kind("NetworkPolicy"), of_kind("HorizontalPodAutoscaler")

    assert service["spec"]["selector"].items() <= labels
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]


def test_a_folder_without_the_package_has_no_helm(tmp_path: Path) -> None:
    with pytest.raises(NoHelmError, match="has no Helm as helm/helm"):
        take_helm(tmp_path)
