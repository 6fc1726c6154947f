"""Independent NumPy loops that read like the published formulas of the similarities."""

import itertools

import numpy as np
import torch

from conceptmon_tb.functional.cosine import CosineConcepts
from conceptmon_tb.functional.pmi import PmiConcepts
from conceptmon_tb.functional.rank import RankConcepts

NAMES = ["cos_similarity", "cos_similarity_cubed", "rank_reorder", "wpmi", "soft_wpmi"]
SHAPES = [(300, 7, 5), (150, 1, 1), (40, 130, 3), (120, 3, 700)]  # images, neurons, concepts


def draw(images, neurons, concepts, seed=0):
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(images, neurons, generator=generator)
    concept_activations = 0.1 * torch.randn(images, concepts, generator=generator) + 0.2
    return activations, concept_activations


def reference_cos(q, p, cubed):
    similarity = np.zeros((q.shape[1], p.shape[1]))
    for n in range(q.shape[1]):
        for c in range(p.shape[1]):
            u, v = q[:, n], p[:, c]
            if cubed:
                u, v = (u - u.mean()) ** 3, (v - v.mean()) ** 3
            similarity[n, c] = u @ v / (np.linalg.norm(u) * np.linalg.norm(v))
    return similarity


def softmax(row):
    e = np.exp(row - row.max())
    return e / e.sum()


def log_mean_exp(values):
    return values.max() + np.log(np.mean(np.exp(values - values.max())))


def top(column, k):
    return sorted(range(len(column)), key=lambda image: (-column[image], image))[:k]


def reference_likelihood(sets, p, a, min_prob, membership):
    probability = np.array([softmax(a * row) for row in p])
    likelihood = np.zeros((len(sets), p.shape[1]))
    for n, images in enumerate(sets):
        for rank, image in enumerate(images):
            if membership is None:
                likelihood[n] += np.log(probability[image] + min_prob)
            else:
                start, end = membership
                q = start - rank / len(images) * (start - end)
                likelihood[n] += np.log(1 + q * (probability[image] - 1) + min_prob)
    return likelihood


def reference_pmi(q, p, k, a, lam, membership, min_prob=1e-7):
    sets = [top(column, k) for column in q.T]
    likelihood = reference_likelihood(sets, p, a, min_prob, membership)
    prior = np.array([log_mean_exp(column) for column in likelihood.T])
    return likelihood - lam * prior


def reference_rank_reorder(q, p, power=3, fraction=0.05, scale_p=0.5):
    k = max(2, int(len(q) * fraction))
    similarity = np.zeros((q.shape[1], p.shape[1]))
    for n in range(q.shape[1]):
        images = top(q[:, n], k)
        target = q[images, n]
        by_chance = np.mean([abs(x - y) ** power for x, y in itertools.product(target, target)])
        for c in range(p.shape[1]):
            in_concept_order = sorted(range(k), key=lambda place: (p[images[place], c], images[place]))
            dealt = np.empty(k)
            dealt[in_concept_order] = np.sort(target)
            error = np.mean(np.abs(target - dealt) ** power) / by_chance
            similarity[n, c] = -error / max(np.mean(p[images, c]), 1e-3) ** scale_p
    return similarity


REFERENCES = {
    "cos_similarity": lambda q, p: reference_cos(q, p, cubed=False),
    "cos_similarity_cubed": lambda q, p: reference_cos(q, p, cubed=True),
    "rank_reorder": reference_rank_reorder,
    "wpmi": lambda q, p: reference_pmi(q, p, k=28, a=2, lam=0.6, membership=None),
    "soft_wpmi": lambda q, p: reference_pmi(q, p, k=100, a=10, lam=1, membership=(0.998, 0.97)),
}
PRIORS = ["layer", "background", "zscore"]
SIDES = {
    "cos_similarity": lambda p, **options: CosineConcepts(p, cubed=False, **options),
    "cos_similarity_cubed": lambda p, **options: CosineConcepts(p, cubed=True, **options),
    "rank_reorder": RankConcepts,
    "wpmi": lambda p, **options: PmiConcepts(p, top_k=28, a=2, lam=0.6, prior="layer", **options),
    "soft_wpmi": lambda p, **options: PmiConcepts(
        p, top_k=100, a=10, lam=1, prior="layer", membership=(0.998, 0.97), **options
    ),
}
