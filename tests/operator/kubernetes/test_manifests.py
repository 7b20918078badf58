"""What a job's children look like."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.names import Component
from pretrain_api.spec.job import PretrainJob
from pretrain_operator.kubernetes import manifests
from pretrain_operator.kubernetes.config import DefaultStorage, OperatorConfig
from pretrain_operator.kubernetes.manifests.merge import merge
from pretrain_operator.planning import StageRun
from pretrain_operator.planning.training import trainer_set

CONFIG = OperatorConfig()


def job(**changes: Any) -> PretrainJob:
    spec: dict[str, Any] = {
        "data": {"sources": [{"name": "web", "uri": "sample://python"}]},
        "training": {"tokens": 4096, "sequenceLength": 64, "batch": {"stages": [{"tokens": 512, "from": 0}]}},
        **changes,
    }
    spec["training"]["learningRate"] = {"peak": 1e-3}
    metadata = {"name": "small", "namespace": "team", "uid": "7d0f"}
    kind = {"apiVersion": "pretrain.dev/v1alpha1", "kind": "PretrainJob"}
    return PretrainJob.model_validate({**kind, "metadata": metadata, "spec": spec})


def stateful_set(wanted: PretrainJob, num_nodes: int = 2) -> dict[str, Any]:
    return manifests.trainer_objects(wanted, trainer_set(wanted, "abc", num_nodes), CONFIG)[0]


def stage(wanted: PretrainJob) -> dict[str, Any]:
    run = StageRun(Component.CLEAN, ("python", "-m", "pretrain_dataprep", "clean"), 8, 4, "abc")
    return manifests.stage_job(wanted, run, CONFIG)


def environment(template: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in template["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("made", [stage, stateful_set])
def test_pods_are_restricted(made: Any) -> None:
    spec = made(job())["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not spec["automountServiceAccountToken"]
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


@pytest.mark.parametrize("made", [stage, stateful_set])
def test_pods_can_be_told_to_stop_before_their_process_listens(made: Any) -> None:
    assert made(job())["spec"]["template"]["spec"]["shareProcessNamespace"], "else it is process 1, which hears nothing"


@pytest.mark.parametrize("made", [stage, stateful_set])
def test_children_go_with_their_job_and_say_whose_they_are(made: Any) -> None:
    metadata = made(job())["metadata"]
    assert metadata["namespace"] == "team"
    assert [(owner["uid"], owner["controller"]) for owner in metadata["ownerReferences"]] == [("7d0f", True)]
    assert metadata["labels"]["pretrain.dev/job"] == "small"


def test_work_items_are_tried_again_only_where_that_helps() -> None:
    spec = stage(job())["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 8, 4)
    assert spec["backoffLimitPerIndex"] == 3
    ignored, stopped, final = spec["podFailurePolicy"]["rules"]
    assert (ignored["action"], ignored["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (stopped["action"], stopped["onExitCodes"]["values"]) == ("Ignore", [143])
    assert (final["action"], final["onExitCodes"]["values"]) == ("FailIndex", [64, 65])


def test_kueue_decides_when_its_jobs_are_suspended() -> None:
    assert stage(job())["spec"]["suspend"] is False
    queued = stage(job(queueName="gpu"))
    assert "suspend" not in queued["spec"]
    assert queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"


def test_a_trainer_knows_its_world() -> None:
    gpus = {"limits": {"nvidia.com/gpu": 8, "cpu": "96"}}
    template = stateful_set(job(trainer={"resourcesPerNode": gpus}))["spec"]["template"]
    variables = environment(template)
    assert variables["PET_NNODES"] == "2"
    assert variables["PET_NPROC_PER_NODE"] == "8"
    assert variables["PET_MASTER_ADDR"] == "small-trainer-0.small-trainer.team.svc"
    assert variables["OMP_NUM_THREADS"] == "12"
    assert variables["PRETRAIN_TRAINING_CONFIGURATION"] == "abc"
    assert template["spec"]["terminationGracePeriodSeconds"] > int(variables["PRETRAIN_GRACE_SECONDS"]) + 5
    assert {"name": "pretrain-shm", "emptyDir": {"medium": "Memory"}} in template["spec"]["volumes"]


def test_pods_of_a_trainer_are_placed_together() -> None:
    def affinity(**placement: Any) -> dict[str, Any]:
        made = stateful_set(job(trainer={"placement": placement}))["spec"]["template"]
        wanted: dict[str, Any] = made["spec"]["affinity"]["podAffinity"]
        return wanted

    ((preferred,),) = affinity().values()
    assert preferred["podAffinityTerm"]["topologyKey"] == "topology.kubernetes.io/zone"
    required = affinity(topologyKey="nvidia.com/nvlink-domain", required=True)
    (term,) = required["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "nvidia.com/nvlink-domain"
    assert term["labelSelector"]["matchLabels"]["pretrain.dev/job"] == "small"


def test_an_upgrade_of_the_operator_does_not_touch_a_trainer() -> None:
    wanted = job()
    trainer = trainer_set(wanted, "abc", 2)
    assert manifests.trainer_revision(wanted, trainer) == manifests.trainer_revision(wanted, trainer)
    changed = job(checkpoint={"everySteps": 7})
    assert manifests.trainer_revision(changed, trainer) != manifests.trainer_revision(wanted, trainer)
    assert manifests.trainer_revision(wanted, trainer_set(wanted, "abc", 3)) != manifests.trainer_revision(
        wanted, trainer
    )


def test_a_job_without_storage_gets_a_claim_that_outlives_it() -> None:
    claim = manifests.claim(job(), CONFIG)
    assert claim is not None
    assert claim["metadata"]["name"] == "small-storage"
    assert "ownerReferences" not in claim["metadata"]
    assert manifests.claim(job(storage={"uri": "pvc://ready/path"}), CONFIG) is None
    mounted = stage(job(storage={"uri": "pvc://ready/a/b"}))["spec"]["template"]["spec"]["containers"][0][
        "volumeMounts"
    ]
    assert {"name": "pretrain-storage", "mountPath": "/var/lib/pretrain/storage", "subPath": "a/b"} in mounted


@pytest.mark.parametrize(
    ("changes", "config", "said"),
    [
        ({"storage": {"uri": "s3://bucket/x"}}, CONFIG, "pvc://CLAIM/PATH"),
        ({}, OperatorConfig(default_storage=None), "no default storage"),
        ({"trainer": {"podTemplate": {"spec": {"restartPolicy": "Never"}}}}, CONFIG, "restartPolicy"),
        ({"trainer": {"podTemplate": {"spec": {"volumes": [{"name": "pretrain-tmp"}]}}}}, CONFIG, "pretrain-tmp"),
        (
            {"data": {"podTemplate": {"spec": {"containers": [{"name": "preparation", "image": "mine"}]}}}},
            CONFIG,
            "spec.data.podTemplate.spec.containers[0].image: set by the operator; set the chart's value",
        ),
    ],
)
def test_what_only_a_cluster_refuses(changes: dict[str, Any], config: OperatorConfig, said: str) -> None:
    (problem,) = manifests.cluster_problems(job(**changes), config)
    assert said in problem


def test_the_default_storage_can_be_chosen() -> None:
    config = OperatorConfig(default_storage=DefaultStorage(size="1Ti", storage_class_name="fast"))
    claim = manifests.claim(job(), config)
    assert claim is not None
    assert claim["spec"]["storageClassName"] == "fast"


def test_a_pod_template_is_merged_as_kubernetes_would() -> None:
    template = {
        "metadata": {"labels": {"team": "a"}},
        "spec": {
            "nodeSelector": {"gpu": "h100"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "volumes": [{"name": "cache", "emptyDir": {}}],
            "containers": [
                {"name": "trainer", "env": [{"name": "NCCL_DEBUG", "value": "INFO"}]},
                {"name": "sidecar", "image": "x"},
            ],
        },
    }
    made = stateful_set(job(trainer={"podTemplate": template}))["spec"]["template"]
    assert made["metadata"]["labels"]["team"] == "a"
    assert made["metadata"]["labels"]["pretrain.dev/job"] == "small"
    assert len(made["spec"]["tolerations"]) == 3
    assert [each["name"] for each in made["spec"]["containers"]] == ["trainer", "sidecar"]
    assert environment(made)["NCCL_DEBUG"] == "INFO"
    assert environment(made)["PET_NNODES"] == "2"


def test_the_template_of_preparation_pods_is_merged_into_each_stage() -> None:
    secret = {"secretRef": {"name": "s3-credentials"}}
    template = {"spec": {"containers": [{"name": "preparation", "envFrom": [secret]}], "priorityClassName": "low"}}
    made = stage(job(data={"podTemplate": template}))["spec"]["template"]
    (container,) = made["spec"]["containers"]
    assert container["name"] == "clean"
    assert container["envFrom"] == [secret]
    assert container["image"] == CONFIG.images.dataprep
    assert made["spec"]["priorityClassName"] == "low"


VALUES = st.recursive(
    st.text(max_size=3) | st.integers(), lambda inner: st.dictionaries(st.text(max_size=3), inner), max_leaves=8
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES)


@given(ours=OBJECTS, theirs=OBJECTS)
def test_merging_twice_is_merging_once_and_nothing_changes_what_it_is_given(
    ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    before = repr(ours)
    once = merge(ours, theirs)
    assert merge(once, theirs) == once
    assert merge(ours, {}) == ours
    assert set(once) == set(ours) | set(theirs)
    assert repr(ours) == before


@pytest.mark.parametrize("made", [stage, stateful_set])
def test_claims_with_ready_data_are_mounted_read_only_each_once(made: Any) -> None:
    data = {"tokenized": [{"name": "a", "uri": "pvc://corpus/a.bin", "validationUri": "pvc://corpus/b.bin"}]}
    given = job(data=data, storage={"uri": "pvc://mine/runs/1"})
    template = made(given)["spec"]["template"]
    volumes = {each["name"]: each.get("persistentVolumeClaim") for each in template["spec"]["volumes"]}
    assert volumes["pretrain-data-0"] == {"claimName": "corpus", "readOnly": True}
    mounts = {each["mountPath"]: each for each in template["spec"]["containers"][0]["volumeMounts"]}
    mount = mounts["/var/lib/pretrain/claims/corpus"]
    assert (mount["name"], mount["readOnly"]) == ("pretrain-data-0", True)
    assert environment(template)["PRETRAIN_CLAIMS"] == "/var/lib/pretrain/claims"


def test_what_another_job_prepared_may_be_on_the_same_claim() -> None:
    given = job(data={"prepared": "pvc://mine/runs/0"}, storage={"uri": "pvc://mine/runs/1"})
    template = stage(given)["spec"]["template"]
    assert [each["name"] for each in template["spec"]["volumes"]].count("pretrain-storage") == 1
    mounts = {each["mountPath"]: each for each in template["spec"]["containers"][0]["volumeMounts"]}
    assert mounts["/var/lib/pretrain/storage"]["subPath"] == "runs/1"
    mount = mounts["/var/lib/pretrain/claims/mine"]
    assert (mount["name"], mount["readOnly"]) == ("pretrain-storage", True)
    assert "subPath" not in mount
