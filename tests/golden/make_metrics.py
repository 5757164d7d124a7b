"""Makes metrics.txt: random classification problems and scikit-learn's answers (made with scikit-learn 1.2.1).

    python3 tests/golden/make_metrics.py > tests/golden/metrics.txt

A problem is: "problem NAME n k", n rows "label p0 .. pk-1", one row per metric "NAME value", k rows
"class support precision recall f1 roc_auc average_precision", k rows of the confusion matrix, and the ROC curve of class
0 as "roc POINTS" with POINTS rows "fpr tpr" (0 points when it is undefined). nan stands for what is undefined.
"""

import sys
import warnings

import numpy as np
from sklearn import metrics as sk

warnings.filterwarnings("ignore")
NAN = float("nan")


def roc_auc(positive, score):
    return sk.roc_auc_score(positive, score) if 0 < positive.sum() < len(positive) else NAN


def average_precision(positive, score):
    return sk.average_precision_score(positive, score) if positive.any() else NAN


def one_vs_one(y, p):
    """What multi_class="ovo", average="macro" does inside, also for two classes and rows that do not sum to one."""
    areas = []
    for a in range(p.shape[1]):
        for b in range(a):
            rows = (y == a) | (y == b)
            areas.append((sk.roc_auc_score(y[rows] == a, p[rows, a]) + sk.roc_auc_score(y[rows] == b, p[rows, b])) / 2)
    return np.mean(areas)


def brier(y, p):
    """Where scikit-learn 1.2 has none: of one class alone, and of several."""
    k = p.shape[1]
    return ((p[:, 1] - (y == 1)) ** 2).mean() if k == 2 else ((p - (y[:, None] == np.arange(k))) ** 2).sum() / len(y)


def calibration_error(y, p, bins=15):
    """Guo et al. 2017, equation 3."""
    sure, right = p.max(axis=1), p.argmax(axis=1) == y
    edges = np.linspace(0, 1, bins + 1)
    total = 0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (sure > low) & ((sure <= high) | ((high == 1) & (sure > 1)))
        if inside.any():
            total += inside.sum() / len(y) * abs(right[inside].mean() - sure[inside].mean())
    return total


def headline(y, p, predicted):
    k = p.shape[1]
    classes = np.arange(k)
    one_hot = y[:, None] == classes
    out = {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
    }
    for top in 3, 5, 10:
        out[f"top_{top}_accuracy"] = sk.top_k_accuracy_score(y, p, k=top, labels=classes) if k > top else NAN
    for average in "macro", "micro", "weighted":
        precision, recall, f1, _ = sk.precision_recall_fscore_support(y, predicted, average=average, zero_division=0)
        out |= {f"precision_{average}": precision, f"recall_{average}": recall, f"f1_{average}": f1}
    out["mcc"] = sk.matthews_corrcoef(y, predicted)
    out["kappa"] = sk.cohen_kappa_score(y, predicted)
    out["log_loss"] = sk.log_loss(y, p, labels=classes)
    auc = ap = NAN
    if one_hot.any(axis=0).all():
        # what multi_class="ovr" does inside, also for two classes and rows that do not sum to one
        auc = sk.roc_auc_score(one_hot, p, average="macro")
        ap = sk.average_precision_score(one_hot, p, average="macro")
    out |= {"roc_auc_ovr_macro": auc, "average_precision_macro": ap}
    out["roc_auc_ovo_macro"] = one_vs_one(y, p) if one_hot.any(axis=0).all() else NAN
    both = k == 2 and one_hot.any(axis=0).all()
    out["brier"] = sk.brier_score_loss(y == 1, p[:, 1]) if both else brier(y, p)
    out["calibration_error"] = calibration_error(y, p)
    if k == 2:
        has_truth, has_prediction = (y == 1).any(), (predicted == 1).any()
        out["precision"] = sk.precision_score(y, predicted, zero_division=0) if has_prediction else NAN
        out["recall"] = sk.recall_score(y, predicted, zero_division=0) if has_truth else NAN
        out["f1"] = sk.f1_score(y, predicted, zero_division=0) if has_truth or has_prediction else NAN
        out["roc_auc"] = roc_auc(y == 1, p[:, 1])
    return out


def per_class(y, p, predicted):
    classes = np.arange(p.shape[1])
    rows = zip(*sk.precision_recall_fscore_support(y, predicted, labels=classes, zero_division=0))
    for c, (precision, recall, f1, support) in enumerate(rows):
        has_prediction = (predicted == c).any()
        yield (
            int(support),
            precision if has_prediction else NAN,
            recall if support else NAN,
            f1 if support or has_prediction else NAN,
            roc_auc(y == c, p[:, c]),
            average_precision(y == c, p[:, c]),
        )


def write(name, y, p):
    n, k = p.shape
    p = p.astype(np.float32)
    print("problem", name, n, k)
    for label, row in zip(y, p):
        print(label, *row)  # the shortest digits that read back as the same float32
    p = p.astype(np.float64)
    predicted = p.argmax(axis=1)
    numbers = headline(y, p, predicted)
    print("metrics", len(numbers))
    for key, value in numbers.items():
        print(key, repr(float(value)))
    for support, *values in per_class(y, p, predicted):
        print("class", support, *(repr(float(v)) for v in values))
    for row in sk.confusion_matrix(y, predicted, labels=np.arange(k)):
        print(*row)
    positive = y == 0
    if 0 < positive.sum() < n:
        fpr, tpr, _ = sk.roc_curve(positive, p[:, 0], drop_intermediate=False)
        print("roc", len(fpr))
        for a, b in zip(fpr, tpr):
            print(repr(float(a)), repr(float(b)))
    else:
        print("roc 0")


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def draw(rng, n, k, skill=1.5, weights=None):
    """Labels, each class at least once where n allows it, and probabilities that know them to some degree."""
    y = rng.choice(k, n, p=weights)
    if weights is None and n >= k:
        y[:k] = np.arange(k)
    z = rng.normal(size=(n, k))
    z[np.arange(n), y] += skill
    return y, softmax(z)


def coarse(p, levels):
    """Rows that sum to one in steps of 1/levels, so that many scores are equal."""
    q = np.floor(p * levels)
    q[:, -1] += levels - q.sum(axis=1)
    return q / levels


def random_problem(rng, number):
    """2 to 50 classes, few of them more often; ties, missing and lone classes, imbalance, equal scores as they come."""
    k = int(round(np.exp(rng.uniform(np.log(2), np.log(50)))))
    n = int(rng.integers(10, max(12, min(60, 900 // k)) + 1))
    kind = ("plain", "missing", "lone", "imbalanced", "equal")[number % 5]
    weights = None
    if kind == "imbalanced":
        weights = np.full(k, 0.05 / max(1, k - 1))
        weights[int(rng.integers(k))] += 1 - weights.sum()
    y, p = draw(rng, n, k, skill=rng.uniform(0, 4), weights=weights)
    if kind == "missing":
        y[y == int(rng.integers(k))] = int(rng.integers(k))
    if kind == "lone":
        y[y == 0] = k - 1
        y[int(rng.integers(n))] = 0
    p = np.full((n, k), 1 / k) if kind == "equal" and number % 10 == 9 else coarse(p, (1000, 100, 10, 4)[number % 4])
    write(f"{number}_{kind}_{k}", y, p)


def main():
    rng = np.random.default_rng(20250801)
    for k in (2, 3, 4, 5, 6, 7, 10, 13, 16, 20):
        write(f"random_{k}", *draw(rng, 40 + int(rng.integers(30)), k))
    for k in (2, 3, 6, 9):
        y, p = draw(rng, 60, k)
        write(f"ties_{k}", y, coarse(p, 10))
        write(f"few_levels_{k}", y, coarse(p, 3))
    for k in (2, 3, 8):
        write(f"all_equal_{k}", draw(rng, 30, k)[0], np.full((30, k), 1 / k))
    for k in (3, 7, 20):
        y, p = draw(rng, 30, k)
        y[y == k - 1] = 0
        write(f"missing_class_{k}", y, p)
        p[:, 1] = 0
        write(f"never_predicted_{k}", y, p / p.sum(axis=1, keepdims=True))
    for k in (2, 6):
        write(f"one_class_{k}", np.full(25, k - 1), draw(rng, 25, k)[1])
        write(f"constant_{k}", np.full(12, 1), np.tile(np.eye(k)[1], (12, 1)))
    for k in (2, 4):
        weights = np.full(k, 0.01)
        weights[0] = 1 - 0.01 * (k - 1)
        y, p = draw(rng, 250, k, weights=weights)
        y[:k] = np.arange(k)
        write(f"imbalanced_{k}", y, p)
    y, p = draw(rng, 12, 12)
    write("one_example_each", y, p)
    y, p = draw(rng, 40, 5, skill=0)
    write("confident", y, np.eye(5)[p.argmax(axis=1)])  # probabilities 0 and 1: clipping
    write("perfect", np.arange(30) % 3, np.eye(3)[np.arange(30) % 3])
    write("all_wrong", np.arange(30) % 3, np.eye(3)[(np.arange(30) + 1) % 3])
    write("single_example", np.array([1]), np.array([[0.25, 0.5, 0.25]]))
    y, p = draw(rng, 80, 6, skill=30)
    write("tiny_probabilities", y, p)
    y, p = draw(rng, 50, 4)
    write("not_normalised", y, 0.5 * p)
    for number in range(200):
        random_problem(rng, number)
    print("end")


if __name__ == "__main__":
    sys.exit(main())
