"""The deployment's files say what is true: they parse, name settings that exist, and are hardened.

There is no container engine or cluster here: images are not built and nothing is applied. What is
checked is what can be read: schemas, names, and that nothing runs as root.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from worker.cli import application
from worker.settings import Settings
from workflows import search

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
MANIFESTS = sorted((DEPLOY / "kubernetes" / "base").glob("*.yaml"))
OURS = ("worker", "console", "exporter")


def documents(path: Path) -> list[dict[str, Any]]:
    return [item for item in yaml.safe_load_all(path.read_text()) if item]


def manifests(kind: str) -> dict[str, dict[str, Any]]:
    return {
        item["metadata"]["name"]: item
        for path in MANIFESTS
        for item in documents(path)
        if item["kind"] == kind
    }


def setting_names(text: str) -> set[str]:
    return {name.lower() for name in re.findall(r"GROUPCLAIM_([A-Z_]+)", text)}


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    named = setting_names(path.read_text())
    assert named <= set(Settings.model_fields), named - set(Settings.model_fields)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_follow_the_schemas_of_kubernetes(path: Path) -> None:
    checked = 0
    for item in documents(path):
        if item["apiVersion"].startswith("kustomize"):
            continue
        kubernetes_validate.validate(item, "1.33", strict=True)
        checked += 1
    assert checked or path.name == "kustomization.yaml"


def test_kustomizations_list_files_that_are_there() -> None:
    for folder in ("base", "cloud"):
        where = DEPLOY / "kubernetes" / folder
        (wanted,) = documents(where / "kustomization.yaml")
        for name in wanted["resources"]:
            assert (where / name).exists(), name
        for patch in wanted.get("patches", ()):
            (change,) = documents(where / patch["path"])
            base = manifests(change["kind"])
            assert change["metadata"]["name"] in base, "a patch of something that is not there"
    kept = {path.name for path in MANIFESTS} - {"kustomization.yaml"}
    (base,) = documents(DEPLOY / "kubernetes" / "base" / "kustomization.yaml")
    assert set(base["resources"]) == kept


def test_pods_run_without_rights_on_a_root_that_cannot_be_written() -> None:
    pods = {
        name: item["spec"]["template"]["spec"] for name, item in manifests("Deployment").items()
    }
    assert set(pods) == set(OURS)
    for name, pod in pods.items():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert "livenessProbe" in container, name
        assert container["args"] == [name]


def test_what_scales_has_a_budget_and_the_exporter_is_one() -> None:
    deployments = manifests("Deployment")
    assert set(manifests("PodDisruptionBudget")) == {"worker", "console"}
    assert deployments["exporter"]["spec"]["replicas"] == 1
    assert deployments["exporter"]["spec"]["strategy"] == {"type": "Recreate"}
    scaler = manifests("HorizontalPodAutoscaler")["worker"]["spec"]
    assert scaler["minReplicas"] >= 2
    assert scaler["metrics"][0]["external"]["metric"]["selector"]["matchLabels"] == {
        "taskqueue": "groupclaim"
    }


def test_prometheus_asks_for_services_and_ports_that_are_there() -> None:
    """In compose the services of the file, in the cluster headless services of the pods."""
    compose = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    cluster = yaml.safe_load((DEPLOY / "prometheus" / "kubernetes.yml").read_text())
    jobs = [job["job_name"] for job in compose["scrape_configs"]]
    assert [job["job_name"] for job in cluster["scrape_configs"]] == jobs
    services = manifests("Service")
    for ours, theirs in zip(compose["scrape_configs"], cluster["scrape_configs"], strict=True):
        name, port = asked(ours)
        assert name in COMPOSE["services"]
        host, same = asked(theirs)
        assert (host, same) == (f"{name}.groupclaim.svc", port)
        service = services[name]["spec"]
        assert service["clusterIP"] == "None"
        (target,) = (item["targetPort"] for item in service["ports"] if item["port"] == port)
        pod = manifests("Deployment")[name]["spec"]["template"]
        assert pod["metadata"]["labels"].items() >= service["selector"].items()
        (container,) = pod["spec"]["containers"]
        opened = {item["name"]: item["containerPort"] for item in container["ports"]}
        assert opened[target] == port


def asked(job: dict[str, Any]) -> tuple[str, int]:
    """Host and port that a job of Prometheus scrapes."""
    for found in job.get("dns_sd_configs", ()):
        (name,) = found["names"]
        return name, found["port"]
    (only,) = job["static_configs"]
    (target,) = only["targets"]
    host, _, port = target.partition(":")
    return host, int(port)


def test_nothing_goes_in_or_out_by_default() -> None:
    policies = manifests("NetworkPolicy")
    closed = policies["deny-by-default"]["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, item in policies.items():
        for rule in (*item["spec"].get("ingress", ()), *item["spec"].get("egress", ())):
            assert rule["ports"], f"{name}: every opening names its ports"


def test_the_containers_of_compose_are_hardened_and_only_localhost_is_opened() -> None:
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
        if name in (*OURS, "simulator"):
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    named = {secret for item in COMPOSE["services"].values() for secret in item.get("secrets", ())}
    assert named == set(COMPOSE["secrets"])


def test_every_process_is_a_command_that_exists() -> None:
    commands = {item.name or item.callback.__name__ for item in application.registered_commands}
    for name in OURS:
        assert COMPOSE["services"][name]["command"] == [name]
        assert name in commands


def test_the_image_runs_as_nobody_in_particular_and_holds_no_development_tools() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    assert re.search(r"^USER 10001:10001$", text, re.M)
    for source in re.findall(r"^COPY (?!--from)(\S+)", text, re.M):
        assert (ROOT / source).exists(), source
    lock = (DEPLOY / "requirements.lock").read_text()
    whole = (ROOT / "requirements.lock").read_text()
    pinned = set(re.findall(r"^(\S+==\S+) \\", lock, re.M))
    assert pinned
    assert pinned <= set(re.findall(r"^(\S+==\S+) \\", whole, re.M))
    assert not re.search(r"^(pytest|mypy|ruff|hypothesis)==", lock, re.M)


def test_the_set_up_makes_every_search_attribute() -> None:
    script = (DEPLOY / "compose" / "search-attributes.sh").read_text()
    made = set(re.findall(r"(\w+):(Keyword|Int|Datetime)", script))
    assert made == {(key.name, key.indexed_value_type.name.title()) for key in search.ALL}
    subprocess.run(["sh", "-n", DEPLOY / "compose" / "search-attributes.sh"], check=True)
