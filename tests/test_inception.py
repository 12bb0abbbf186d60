"""Inception's path, with random weights: the published ones are not here."""

import os
import pickle
import sys
import zipfile

import numpy as np
import pytest
import torch

from duel import _torchvision
from duel.classifier import Trainer
from duel.datasets._base import Data, Spec, Split
from duel.errors import ChecksumError, DataError
from duel.features import inception
from duel.features.inception import Inception

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 40, 30), np.uint8)


def data_of(images):
    split = Split(images, None)
    spec = Spec("image", images.shape[1:])
    return Data("made", spec, {"train": split, "validation": split, "test": split}, "")


@pytest.fixture(scope="module")
def state():
    """A seeded random state, as torch-fidelity would find it in a file."""
    network = inception.blank()
    inception._fill_randomly(network)
    network.fc.bias.data.fill_(1.0)  # so that logits with the bias differ from those without
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def library(state, tmp_path_factory):
    """torch-fidelity's own extractor, built and loaded by torch-fidelity."""
    _torchvision.importable()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = tmp_path_factory.mktemp("weights") / "state.pth"
    torch.save(state, path)
    return FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
    )


@pytest.fixture(scope="module")
def extractor():
    return Inception(random_weights=True).prepare(data_of(IMAGES), Trainer())


def publish(content, monkeypatch, folder):
    """Put `content` where the published weights are looked for, with its checksum announced."""
    monkeypatch.setenv("DUEL_DATA", str(folder))
    (folder / "inception").mkdir()
    (folder / "inception" / inception.FILE).write_bytes(content)
    monkeypatch.setattr(inception, "SHA256", inception.io.sha256(content))


def test_features_and_logits_equal_torch_fidelitys(extractor, library):
    features, logits = extractor.embed(IMAGES)
    theirs = library(torch.from_numpy(IMAGES))
    np.testing.assert_array_equal(features, theirs[0].numpy())
    np.testing.assert_array_equal(logits, theirs[1].numpy())
    assert features.std() > 0.01


def test_grey_images_are_repeated_and_that_is_said(library):
    grey = IMAGES[:, :1]
    extractor = Inception(random_weights=True).prepare(data_of(grey), Trainer())
    theirs = library(torch.from_numpy(grey).expand(-1, 3, -1, -1))
    np.testing.assert_allclose(extractor.embed(grey).features, theirs[0].numpy(), rtol=1e-5)
    assert any("grey" in note for note in extractor.notes)


def test_random_weights_are_never_called_inception(extractor):
    assert extractor.name == "inception-random"
    assert any("never a FID" in note for note in extractor.notes)


def test_a_weights_file_is_found_checked_and_used(state, library, monkeypatch, tmp_path):
    torch.save(state, tmp_path / "state.pth")
    publish((tmp_path / "state.pth").read_bytes(), monkeypatch, tmp_path)
    found = Inception().prepare(data_of(IMAGES), Trainer())
    assert found.name == "inception"
    assert found.digest == inception.SHA256
    assert found.notes == ()
    features, logits = found.embed(IMAGES)
    theirs = library(torch.from_numpy(IMAGES))
    np.testing.assert_array_equal(features, theirs[0].numpy())
    np.testing.assert_array_equal(logits, theirs[1].numpy())


def test_a_file_of_another_content_is_refused_before_it_is_read(monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "load", None)
    checksum = inception.SHA256
    publish(b"something else", monkeypatch, tmp_path)
    monkeypatch.setattr(inception, "SHA256", checksum)
    monkeypatch.setattr(inception, "blank", lambda: None)
    with pytest.raises(ChecksumError, match=f"the published file has {checksum}"):
        Inception().prepare(data_of(IMAGES), Trainer())


class Hostile:
    def __reduce__(self):
        return os.mkdir, (os.environ["HOSTILE"],)


@pytest.mark.parametrize("form", ["zip", "old", "bare"])
def test_a_weights_file_with_code_in_it_is_refused_and_not_run(form, monkeypatch, tmp_path):
    monkeypatch.setenv("HOSTILE", str(tmp_path / "ran"))
    path = tmp_path / "hostile.pth"
    if form == "bare":
        path.write_bytes(pickle.dumps(Hostile()))
    else:
        torch.save({"fc.bias": Hostile()}, path, _use_new_zipfile_serialization=form == "zip")
        assert zipfile.is_zipfile(path) == (form == "zip")
    publish(path.read_bytes(), monkeypatch, tmp_path)
    with pytest.raises(DataError, match="does not hold Inception's weights"):
        Inception().prepare(data_of(IMAGES), Trainer())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("wrong", ["missing", "shape", "list", "cut"])
def test_a_file_that_is_no_inception_state_is_refused(wrong, state, monkeypatch, tmp_path):
    values = {
        "missing": {name: value for name, value in state.items() if name != "fc.weight"},
        "shape": {**state, "fc.weight": torch.zeros(2, 2)},
        "list": [1, 2],
        "cut": {"fc.weight": state["fc.weight"]},
    }
    torch.save(values[wrong], tmp_path / "state.pth")
    content = (tmp_path / "state.pth").read_bytes()
    publish(content[:1000] if wrong == "cut" else content, monkeypatch, tmp_path)
    with pytest.raises(DataError, match="does not hold Inception's weights"):
        Inception().prepare(data_of(IMAGES), Trainer())


def test_missing_weights_say_which_file_goes_where(monkeypatch, tmp_path, own_cache):
    monkeypatch.setenv("DUEL_DATA", str(tmp_path))
    with pytest.raises(DataError) as caught:
        Inception().prepare(data_of(IMAGES), Trainer())
    for part in (inception.FILE, inception.URL, str(tmp_path / "inception"), str(own_cache), "DUEL_OFFLINE"):
        assert part in str(caught.value)


def test_a_missing_library_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(DataError, match=r"pip install 'duel\[metrics\]'"):
        Inception(random_weights=True).prepare(data_of(IMAGES), Trainer())


def test_other_channels_are_refused():
    with pytest.raises(DataError, match="1 or 3 channels, these images have 2"):
        Inception(random_weights=True).prepare(data_of(IMAGES[:, :2]), Trainer())


def test_the_checksum_agrees_with_the_name_and_the_url_with_the_library():
    _torchvision.importable()
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert inception.URL == URL_INCEPTION_V3
    assert inception.FILE.endswith(f"-{inception.SHA256[:8]}.pth")
