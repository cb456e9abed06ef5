"""What chapter 6 claims, and what the logs of small networks say to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from epaas_models.experiments.claims import Claim, Judge, Verdict, mean_and_spread, means
from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.logs import Logs
from epaas_models.experiments.low_rank.small import (
    BUDGET,
    BUDGETS,
    LOW_RANK_WEIGHTS,
    MAIN,
    NUCLEAR_WEIGHTS,
    RANK,
    TRANSFER,
    UNITS,
    WEIGHTS,
)

_USABLE = 0.02
"""How much accuracy a regulariser may cost."""
_TRIED = (
    "on pilots (MNIST, seed 100) 2-LR with weights of 1, which made representations constant, 0.1 and 0.01, and cuts by"
    " Nyström and exactly; 4,000 pictures and 10 epochs may be too few for two layers."
)
_WHITE, _BLACK = ([f"{box} box Iter-FGSM-10 {budget:.3g}" for budget in BUDGETS] for box in ("white", "black"))
_DIGITS = f"white box Iter-FGSM-10 {BUDGET:.3g}"


def above(
    measures: Sequence[str], less: str, more: Sequence[str], *, by: float = 0.0, experiment: Experiment = MAIN
) -> Judge:
    """Whether each of the measures is greater for each arm in ``more`` than for the arm ``less``, by more than ``by``.

    In the mean over seeds, and with most seeds. A negative ``by`` is what may be lost.
    """
    return _compared(measures, less, more, 1, by, experiment)


def below(measures: Sequence[str], more: str, less: Sequence[str], *, experiment: Experiment = MAIN) -> Judge:
    """Whether each of the measures is smaller for each arm in ``less`` than for the arm ``more``; as :func:`above`."""
    return _compared(measures, more, less, -1, 0.0, experiment)


def both(first: Judge, second: Judge) -> Judge:
    """Holds where both do."""

    def judge(logs: Logs) -> Verdict:
        one, other = first(logs), second(logs)
        return Verdict(f"{one.measured}; {other.measured}", one.holds and other.holds)

    return judge


def _compared(
    measures: Sequence[str], base: str, arms: Sequence[str], sign: int, by: float, experiment: Experiment
) -> Judge:
    def judge(logs: Logs) -> Verdict:
        described, holds = [], True
        for measure in measures:
            of_base = np.array(logs.numbers(experiment.name, base, measure))
            shown = [f"{base} {mean_and_spread(of_base.tolist())}"]
            for arm in arms:
                numbers = logs.numbers(experiment.name, arm, measure)
                gains = sign * (np.array(numbers) - of_base)
                seeds = int((gains > by).sum())
                holds = holds and bool(gains.mean() > by) and 2 * seeds > len(gains)
                shown.append(f"{arm} {mean_and_spread(numbers)} ({seeds} of {len(gains)} seeds)")
            described.append(f"{measure}: {', '.join(shown)}")
        return Verdict("; ".join(described), holds)

    return judge


def _weights(logs: Logs) -> Verdict:
    accuracy, robust = means(logs, WEIGHTS, "accuracy"), means(logs, WEIGHTS, _DIGITS)

    def usable(arm: str) -> bool:
        return accuracy[arm] > accuracy["n-lr"] - _USABLE and robust[arm] > robust["n-lr"]

    low_rank = [usable(f"1-lr-{weight:g}") for weight in LOW_RANK_WEIGHTS]
    nuclear = [usable(f"nuclear-{weight:g}") for weight in NUCLEAR_WEIGHTS]
    numbers = ", ".join(f"{arm} {accuracy[arm]:.3f} and {robust[arm]:.3f}" for arm in WEIGHTS.arms)
    return Verdict(f"accuracy and {_DIGITS}: {numbers}", all(low_rank) and not all(nuclear))


def _rectified(logs: Logs) -> Verdict:
    ranks = logs.numbers(MAIN.name, "n-lr", "rank of rectified")
    return Verdict(
        f"sums of {UNITS} units, cut to rank {RANK}, have rank {mean_and_spread(ranks, 0)} once rectified",
        min(ranks) > 2 * RANK,
    )


def _more_robust_hybrid(logs: Logs) -> Verdict:
    described, holds = [], True
    for measure in _WHITE:
        own, hybrid = means(logs, MAIN, measure), means(logs, MAIN, measure.replace("box", "box hybrid"))
        described += [f"{measure} {arm}: {own[arm]:.3f}, hybrid {hybrid[arm]:.3f}" for arm in ("1-lr", "2-lr")]
        holds = holds and all(hybrid[arm] > own[arm] for arm in ("1-lr", "2-lr"))
    return Verdict("; ".join(described), holds)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "6.4.1",
        "Low-rank layers lower the effective rank of representations where they are: 1-LR before the last layer, only"
        " 2-LR before the last block",
        "Figure 6.4: almost no variance leakage of the LR models; only 2-LR has a low-rank structure before the block",
        MAIN,
        both(
            below(["effective rank head"], "n-lr", ["1-lr", "2-lr"]),
            both(below(["effective rank block"], "n-lr", ["2-lr"]), below(["effective rank block"], "1-lr", ["2-lr"])),
        ),
    ),
    Claim(
        "6.4.2",
        "Networks with low-rank layers, trained on clean data, are more accurate under white-box Iter-FGSM",
        "Table 6.1, ResNet-18 on CIFAR-10, 8/255 in 7 steps: N-LR 40.9, 1-LR 48, 2-LR 54.7; ResNet-50: 43.1 to 79.1",
        MAIN,
        above(_WHITE, "n-lr", ["1-lr", "2-lr"]),
    ),
    Claim(
        "6.4.2",
        "On digits too: 1-LR is more accurate under white-box Iter-FGSM, for each of its weights",
        "Table 6.1, on other data",
        WEIGHTS,
        above([_DIGITS], "n-lr", [f"1-lr-{weight:g}" for weight in LOW_RANK_WEIGHTS], experiment=WEIGHTS),
    ),
    Claim(
        "6.4.2",
        "Low-rank layers do not cost clean accuracy (here: at most 0.02)",
        "Table 6.1, ResNet-18 on CIFAR-10: N-LR 94.6, 1-LR 94.9, 2-LR 94.5",
        MAIN,
        above(["accuracy"], "n-lr", ["1-lr", "2-lr"], by=-_USABLE),
        _TRIED,
    ),
    Claim(
        "6.4.2",
        "They are more accurate on pictures attacked through another, plain network (black box)",
        "Table 6.1, ResNet-18 on CIFAR-10, 8/255 in 7 steps: 1-LR 66.6, 2-LR 68.0 (N-LR in a white box 40.9)",
        MAIN,
        above(_BLACK, "n-lr", ["1-lr", "2-lr"]),
        _TRIED,
    ),
    Claim(
        "6.4.2",
        "DeepFool has to move pictures further to fool networks with low-rank layers",
        "Table 6.4, rho: N-LR 0.016, 1-LR 0.17, 2-LR 0.18",
        MAIN,
        above(["deepfool rho"], "n-lr", ["1-lr", "2-lr"]),
    ),
    Claim(
        "6.4.2",
        "A bottleneck of the same rank at the same place is less robust than a low-rank layer",
        "Figure 6.5: Bottle-LR like N-LR, which need half the noise of LR models for an error of 50%",
        MAIN,
        above(_WHITE, "bottle-lr", ["1-lr"]),
    ),
    Claim(
        "6.4.3",
        "Networks with low-rank layers are more accurate on pictures with Gaussian noise on random pixels",
        "Table 6.6, ResNet-18, p = 0.4 and 0.6: N-LR 57.7 and 27.3, 1-LR 75.1 and 33.0, 2-LR 74.1 and 35.5",
        MAIN,
        above(["noise 0.4", "noise 0.6"], "n-lr", ["1-lr", "2-lr"]),
        "on MNIST too, where 1-LR does not differ from N-LR by more than seeds do.",
    ),
    Claim(
        "6.4.3",
        "Adversarial perturbations within a budget move representations of 1-LR less, relative to their size",
        "Figure 6.7(b): curves of LR models far below those of N-LR",
        MAIN,
        below([measure.replace("box", "box moved") for measure in _WHITE], "n-lr", ["1-lr"]),
    ),
    Claim(
        "6.4.3",
        "The layer cushion of the last layer, and of the last of the last block, is greater with a low-rank layer",
        "Figures 6.7(a) and E.1: histograms of LR models to the right of N-LR",
        MAIN,
        above(["cushion head", "cushion block"], "n-lr", ["1-lr"]),
    ),
    Claim(
        "6.4.5",
        "Projected onto 5 and 10 dimensions, representations of 1-LR classify better than those of N-LR",
        "Table 6.8(a), CIFAR-100, 10 and 5 dimensions: 1-LR 76.5 and 72, N-LR 68.4 and 48",
        MAIN,
        above(["hybrid head 5", "hybrid head 10"], "n-lr", ["1-lr"]),
        "a pilot on MNIST, where ten components lose nothing without a low-rank layer either.",
    ),
    Claim(
        "6.4.5",
        "Projected onto 10 and 20 dimensions, what comes into the last block classifies better with 2-LR than without",
        "Table 6.8(b), CIFAR-10, 20 and 10 dimensions: 2-LR 88.5 and 75, N-LR 76.9 and 61.7",
        MAIN,
        above(["hybrid block 10", "hybrid block 20"], "n-lr", ["2-lr"]),
    ),
    Claim(
        "6.4.6",
        "Hybrid max-margin models are more robust on representations of 1-LR and 2-LR than on those of N-LR",
        "Table 6.9, Iter-FGSM in a white box: N-LR 0.02, 1-LR 0.48, 2-LR 0.55",
        MAIN,
        above([measure.replace("box", "box hybrid") for measure in _WHITE], "n-lr", ["1-lr", "2-lr"]),
    ),
    Claim(
        "6.4.6",
        "With low-rank layers the hybrid max-margin model is more robust than the network that it was made from",
        "Table 6.9: it is right on about half of the pictures that fool the network",
        MAIN,
        _more_robust_hybrid,
        "on MNIST, with weights of 1 and 0.1: the hybrid is the less robust of the two there.",
    ),
    Claim(
        "6.4.4",
        "On the task that was learnt, hybrid models of 1-LR are at least as accurate as those of N-LR (here: up to"
        " 0.005)",
        "Table 6.7, coarse labels of CIFAR-100: 1-LR 78.1, N-LR 75.6",
        TRANSFER,
        above(["hybrid head all"], "n-lr", ["1-lr"], by=-0.005, experiment=TRANSFER),
        "nothing: it misses by 0.001, and the networks were trained once.",
    ),
    Claim(
        "6.4.4",
        "On finer labels that were not learnt 1-LR keeps more than a bottleneck does",
        "Table 6.7, fine labels of CIFAR-100: N-LR 52, 1-LR 48, Bottle-LR 38",
        TRANSFER,
        above(["transfer head"], "bottle-lr", ["1-lr"], experiment=TRANSFER),
    ),
    Claim(
        "6.5",
        "The low-rank layer is robust and accurate for each weight, the nuclear norm is not for each",
        "LR with lambdas from 1 to 0.01 alike; of nuclear norms with 1 to 0.0001 only 0.001 is comparable",
        WEIGHTS,
        _weights,
    ),
    Claim(
        "6.5",
        "Sums of low rank are of high rank once they are rectified, so that low-rank weights do not do",
        "Sums of rank 100 become of full rank, with 94% of the variance in 100 directions",
        MAIN,
        _rectified,
    ),
)
