"""Fashion-MNIST."""

from __future__ import annotations

from duel.datasets._base import Data, ImageSet
from duel.datasets._idx_set import Published, load_idx_set
from duel.options import options

_PUBLISHED = Published(
    name="fashion-mnist",
    # The publisher serves no https; the MD5s protect the content.
    url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    train_images="8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    train_labels="25c81989df183df01b3e8a0aad5dffbe",
    test_images="bef4ecab320f06d8554ea6380940ec79",
    test_labels="bb300cfdad3c16e7a12a480ee83cd310",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)


@options
class FashionMnist(ImageSet):
    """70,000 articles of clothing of 28×28 grey pixels; the label is the kind of article.

    The four original files are looked for in $DUEL_DATA/fashion-mnist and the cache, else downloaded
    (31 MB). Validation is the last 5,000 of the 60,000 training images, which are not trained on; test
    is the published test part. Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image
    Dataset for Benchmarking Machine Learning Algorithms", arXiv:1708.07747, 2017 (MIT licence).

    resolution  side of the images in pixels; 28 where it is not given
    fit         how another resolution is reached: "resize" (Lanczos) or "pad" (with black)
    """

    def load(self) -> Data:
        """uint8 N×1×28×28; 55,000, 5,000 and 10,000 images."""
        return load_idx_set(_PUBLISHED, self.resolution, self.fit)
