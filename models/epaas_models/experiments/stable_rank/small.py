"""Chapter 4 on small data: clean and random labels, stopping by training accuracy, settings that generalise badly."""

from __future__ import annotations

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.stable_rank.recipes import (
    NO_DECAY,
    RANDOM,
    cifar10,
    mnist,
    normalisations,
    small_learning,
)

_MNIST_DATA = "MNIST, 2,000 training digits of 14 x 14, 5,000 test digits; two hidden layers of 128"
_CIFAR_DATA = "CIFAR-10 (JPEG-75), 1,000 training pictures of 16 x 16, 5,000 test pictures; three convolutions"

_RANDOM_LABELS = {"random_labels": True}

MNIST = Experiment(
    name="stable-rank-mnist",
    section="4.4.1, 4.4.2",
    title="Normalised spectra on digits, with true and with random labels",
    data=_MNIST_DATA,
    arms={
        **normalisations(mnist(small_learning(15)), "srn-50", "srn-30", "srn-20", "srn-10"),
        **normalisations(
            mnist(small_learning(30)).model_copy(update=_RANDOM_LABELS), "srn-50", "srn-30", "srn-20", suffix=RANDOM
        ),
    },
)

CIFAR10 = Experiment(
    name="stable-rank-cifar10",
    section="4.4.1, 4.4.2",
    title="Normalised spectra on colour pictures, with true and with random labels",
    data=_CIFAR_DATA,
    arms={
        **normalisations(cifar10(small_learning(12, batch_size=64)), "srn-50", "srn-30"),
        **normalisations(
            cifar10(small_learning(24, batch_size=64)).model_copy(update=_RANDOM_LABELS),
            "srn-50",
            "srn-30",
            suffix=RANDOM,
        ),
    },
)

STOPPING = Experiment(
    name="stable-rank-stopping",
    section="4.4.2",
    title="Training stopped when 97% of training rows are right",
    data=_MNIST_DATA,
    arms=normalisations(mnist(small_learning(15)).model_copy(update={"stop_at": 0.97}), "srn-50", "srn-30"),
)

LOW_RATE = Experiment(
    name="stable-rank-low-rate",
    section="4.4.2",
    title="Random labels learnt at a tenth of the learning rate, with and without weight decay",
    data=_MNIST_DATA,
    arms={
        **normalisations(
            mnist(small_learning(30, learning_rate=0.01)).model_copy(update=_RANDOM_LABELS), "srn-50", "srn-30"
        ),
        **normalisations(
            mnist(small_learning(30, learning_rate=0.01, weight_decay=0)).model_copy(update=_RANDOM_LABELS),
            "srn-50",
            "srn-30",
            suffix=NO_DECAY,
        ),
    },
)

DECAY = Experiment(
    name="stable-rank-decay",
    section="4.4.2",
    title="True labels at the usual learning rate, with and without weight decay",
    data=_MNIST_DATA,
    arms={
        **normalisations(mnist(small_learning(15)), "srn-50", "srn-30"),
        **normalisations(mnist(small_learning(15, weight_decay=0)), "srn-50", "srn-30", suffix=NO_DECAY),
    },
)
