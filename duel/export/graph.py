"""A run's networks as ONNX graphs, each compared with the checkpoint before it is written."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duel import io
from duel.errors import DuelError, InputError
from duel.export.about import PREFIX, about
from duel.export.chosen import chosen
from duel.export.files import suffix_of
from duel.export.ports import Port, port
from duel.export.written import Written

if TYPE_CHECKING:
    from duel.run import Run, Weights

TOLERANCE = 1e-4
BATCHES = (1, 7)  # neither is the batch that the graph is made from
_TRACED = 2  # torch takes a batch of 1 for a fixed one
_OPSET = 18  # the oldest that torch writes without converting: the most programs read it
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def write_onnx(
    run: Run,
    out: Path,
    checkpoint: str | int = "last",
    weights: Weights = "ema",
    also: Sequence[str] = (),
) -> list[Written]:
    """Write the generator to FILE.onnx, and the networks that `also` names beside it to FILE-NETWORK.onnx.

    The first axis of every input and output is the batch, of any size from 1. Inputs and outputs are those
    of `Port`, metadata those of `about` and `duel.network`. onnxruntime runs each graph on batches of 1 and
    7 before anything is written: DuelError where it differs by more than 1e-4 from the checkpoint on PyTorch
    (for outputs above 1 in units of the largest). InputError for another suffix or network, and where the
    packages of `duel[export]` are missing.
    """
    suffix_of(out, ".onnx")
    need_packages()
    networks = run.networks(checkpoint, weights)
    modules = chosen(run, networks, also)
    known = about(run, checkpoint, weights)
    made: list[tuple[Written, bytes]] = []
    for name in modules:
        ported = port(run, modules, networks.generator, name)
        content = to_onnx(ported, {**known, PREFIX + "network": name})
        difference = _difference(ported, content)
        if not difference <= TOLERANCE:  # also for what is no number
            raise DuelError(
                f"the {name} as ONNX differs from the checkpoint by {difference:.1e}, allowed is "
                f"{TOLERANCE:.0e}: nothing was written; --format safetensors is exact"
            )
        file = out if name == "generator" else out.with_name(f"{out.stem}-{name}{out.suffix}")
        made.append((Written(file, name, difference), content))
    for written, content in made:
        io.write_out(written.file, content)
    return [written for written, _ in made]


def need_packages() -> None:
    """InputError where a package that ONNX needs is not installed."""
    for name in _PACKAGES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise InputError(
                f"ONNX needs {error.name}, which is not installed: pip install 'duel[export]', or use "
                "--format safetensors"
            ) from error


def to_onnx(ported: Port, metadata: Mapping[str, str]) -> bytes:
    """The network as the bytes of an ONNX file. DuelError where torch cannot write it."""
    import onnx
    import torch

    trial = ported.inputs(_TRACED)
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        # torch's exporter warns of what is deprecated in torch itself
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                ported.module,
                tuple(torch.from_numpy(array) for array in trial.values()),
                input_names=list(trial),
                output_names=list(ported.outputs),
                opset_version=_OPSET,
                dynamo=True,
                dynamic_shapes=tuple({0: batch} for _ in trial),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().partition("\n")[0]
            raise DuelError(
                f"torch cannot write this network as ONNX ({reason}): use --format safetensors"
            ) from error
    assert program is not None
    model = program.model_proto
    _forget_its_making(model)
    _sign(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _forget_its_making(model: Any) -> None:
    """Take out what torch notes on each node: source lines with the paths of this machine."""
    graph = model.graph
    for noted in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        noted.ClearField("metadata_props")
        noted.ClearField("doc_string")


def _sign(model: Any, metadata: Mapping[str, str]) -> None:
    name = metadata[PREFIX + "network"]
    model.producer_name, model.producer_version = "duel", metadata[PREFIX + "version"]
    model.graph.name = name
    recipe, normalisation = metadata[PREFIX + "recipe"], metadata[PREFIX + "normalisation"]
    model.doc_string = f"The {name} of a GAN (recipe {recipe}); {normalisation}"
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)


def _difference(ported: Port, content: bytes) -> float:
    """The largest difference between onnxruntime and PyTorch; of large outputs, as a share of the largest."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = 1  # two small batches are not worth a pool of threads
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    differences = []
    for batch in BATCHES:
        trial = ported.inputs(batch)
        with torch.inference_mode():
            expected = ported.module(*(torch.from_numpy(array) for array in trial.values()))
        expected = expected if isinstance(expected, tuple) else (expected,)
        for found, tensor in zip(session.run(None, trial), expected, strict=True):
            wanted = tensor.numpy()
            if found.shape != wanted.shape:
                raise DuelError(f"ONNX gives shape {found.shape} for a batch of {batch}, not {wanted.shape}")
            largest = max(1.0, float(np.abs(wanted).max()))
            differences.append(float(np.abs(found - wanted).max()) / largest)
    return float(np.max(differences))
