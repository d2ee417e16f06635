"""TFX face of the feature graph."""

from __future__ import annotations

from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import transform_pb2
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter
from tfx.types.standard_component_specs import TransformSpec
from tfx.utils import json_utils

from common.runs.blessing import BLESSING
from components.transform.executor import Executor
from schemas.contract import Contract

PREPROCESSING_FN = "components.transform.preprocessing.preprocessing_fn"


class FeatureTransformSpec(TransformSpec):
    """The specification of TFX's Transform, with a blessing to wait for."""

    INPUTS = {
        **TransformSpec.INPUTS,
        BLESSING: ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
    }


class FeatureTransform(base_beam_component.BaseBeamComponent):
    """TFX's Transform, analysis alone: output `transform_graph`.

    The Trainer applies the graph to whole batches, several times faster than Beam writes
    transformed examples.

    Args:
      analyzed: splits of `examples` that vocabularies and means are taken from.
      code: fingerprint of the program; changes invalidate cached results.
      blessing: of the recipe; nothing is analysed where it was not given.
    """

    SPEC_CLASS = FeatureTransformSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        analyzed: Sequence[str],
        contract: Contract,
        code: str,
        blessing: types.BaseChannel | None = None,
    ) -> None:
        config = {"contract": contract.model_dump_json(), "code": code}
        spec = FeatureTransformSpec(
            examples=examples,
            schema=schema,
            preprocessing_fn=PREPROCESSING_FN,
            splits_config=transform_pb2.SplitsConfig(analyze=list(analyzed)),
            custom_config=json_utils.dumps(config),
            force_tf_compat_v1=0,
            disable_statistics=1,
            transform_graph=channel_utils.as_channel([standard_artifacts.TransformGraph()]),
            blessing=blessing,
        )
        super().__init__(spec=spec)
