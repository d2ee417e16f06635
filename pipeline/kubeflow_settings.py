"""Where and with what the steps run on Kubeflow Pipelines and on Vertex AI Pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from schemas.base import Frozen, NonNegativeInt, PositiveFloat, PositiveInt

Name = Annotated[str, Field(min_length=1)]
AbsolutePath = Annotated[str, Field(pattern=r"^/")]
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Gpu(Frozen):
    """Accelerators of one step."""

    count: PositiveInt = 1
    resource: Name = "nvidia.com/gpu"
    """The Kubernetes resource that is asked for."""
    vertex_type: Name = "NVIDIA_TESLA_T4"
    """Vertex AI's own name of the type."""


class Volume(Frozen):
    """A persistent volume claim in the container. Several steps at once need ReadWriteMany."""

    claim: Name
    path: AbsolutePath


class Secret(Frozen):
    """A Kubernetes secret, as environment variables, as files, or both."""

    name: Name
    env: Mapping[Name, Name] = Field(default_factory=dict)
    """Key of the secret -> environment variable."""
    path: AbsolutePath | None = None
    """Folder in which every key is a file."""
    optional: bool = False
    """Whether a step starts without the secret; only of one that is mounted as files."""

    @model_validator(mode="after")
    def _used(self) -> Secret:
        if not self.env and self.path is None:
            raise ValueError(f"secret {self.name!r}: wanted `env`, `path` or both")
        return self


class Toleration(Frozen):
    """A taint that the step may run on in spite of."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Effect | None = None
    """None tolerates every effect."""
    seconds: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _sound(self) -> Toleration:
        if self.operator == "Exists" and self.value:
            raise ValueError(f"operator Exists takes no value (seen: {self.value!r})")
        if self.operator == "Equal" and not self.key:
            raise ValueError("operator Equal wants a key")
        return self


class StepSettings(Frozen):
    """One step's container. Limits are in cores and in GB (10^9 bytes)."""

    image: str = ""
    """Empty for the image of all steps."""
    cpu: PositiveFloat | None = None
    cpu_request: PositiveFloat | None = None
    memory_gb: PositiveFloat | None = None
    memory_request_gb: PositiveFloat | None = None
    gpu: Gpu | None = None
    volumes: tuple[Volume, ...] = ()
    secrets: tuple[Secret, ...] = ()
    node_selector: Mapping[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    image_pull_policy: Literal["Always", "Never", "IfNotPresent"] | None = None
    timeout_seconds: PositiveInt | None = None
    retries: NonNegativeInt = 0
    """Further attempts of a step that failed."""

    @model_validator(mode="after")
    def _requests_within_limits(self) -> StepSettings:
        for what, request, limit in (
            ("cpu", self.cpu_request, self.cpu),
            ("memory", self.memory_request_gb, self.memory_gb),
        ):
            if request is not None and limit is not None and request > limit:
                raise ValueError(f"{what}: request {request} is above the limit {limit}")
        return self

    def over(self, defaults: StepSettings) -> StepSettings:
        """These settings where they are set, `defaults` elsewhere; lists and maps add up."""
        mine = {name: getattr(self, name) for name in self.model_fields_set}
        return StepSettings.model_validate(
            dict(defaults)
            | mine
            | {
                "volumes": (*defaults.volumes, *self.volumes),
                "secrets": (*defaults.secrets, *self.secrets),
                "tolerations": (*defaults.tolerations, *self.tolerations),
                "node_selector": {**defaults.node_selector, **self.node_selector},
            }
        )


class _Target(Frozen):
    """Places, as the containers see them."""

    data_root: AbsolutePath
    """Folder that relative patterns of the contract start from; replaces `input.root`."""
    serving_dir: AbsolutePath
    """Push folder: on a volume or bucket that outlives the step."""
    out_dir: AbsolutePath
    """Folder of `runs/<run_id>/`; likewise."""


class KfpTarget(_Target):
    """Open-source Kubeflow Pipelines."""

    pipeline_root: Annotated[str, Field(pattern=r"^(minio|s3|gs)://[^/]+")]
    """Bucket and prefix of the artifacts."""
    final_status: bool = False
    """Whether the back end can tell the exit handler how the run ended. Older ones stop at the
    question; without an answer the handler goes by whether the last step has left its report."""


class VertexTarget(_Target):
    """Vertex AI Pipelines, where `gs://bucket` is also the folder `/gcs/bucket`."""

    pipeline_root: Annotated[str, Field(pattern=r"^gs://[^/]+")]
    final_status: bool = True

    @model_validator(mode="before")
    @classmethod
    def _lasting(cls, values: Any) -> Any:
        for key in ("data_root", "serving_dir", "out_dir"):
            path = values.get(key) if isinstance(values, dict) else None
            if isinstance(path, str) and not path.startswith("/gcs/"):
                raise ValueError(
                    f"{key}: seen {path!r}, wanted a folder under /gcs/<bucket>/: nothing else "
                    "lasts on Vertex AI"
                )
        return values


class KubeflowSettings(Frozen):
    """What `hardtower compile` turns the pipeline into."""

    image: Name
    """Container image of all steps that do not name their own."""
    defaults: StepSettings = StepSettings()
    """Of every step."""
    steps: Mapping[str, StepSettings] = Field(default_factory=dict)
    """Step name -> what differs there."""
    exit_handler: bool = True
    """Whether a last step writes the run's verdict, after failures too."""
    kfp: KfpTarget | None = None
    vertex: VertexTarget | None = None

    def step(self, name: str) -> StepSettings:
        """The settings of one step: the defaults, and what `steps` changes for it."""
        return self.steps.get(name, StepSettings()).over(self.defaults)
