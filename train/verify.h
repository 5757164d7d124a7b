/* Verification by a model: embeddings of the pictures of pairs, their scores, and what those are worth. */
#ifndef FACET_TRAIN_VERIFY_H
#define FACET_TRAIN_VERIFY_H

#include "data/pairs.h"
#include "eval/verification.h"
#include "train/model.h"
#include "train/views.h"

#include <stdio.h>

typedef enum ft_distance {
    FT_DISTANCE_COSINE,   /* score: the cosine of the angle between two embeddings */
    FT_DISTANCE_EUCLIDEAN /* score: the distance of two embeddings, negative */
} ft_distance;

/* "cosine", "euclidean". FT_E_USAGE lists them; *distance is then unchanged. */
ft_err ft_distance_parse(const char *name, ft_distance *distance);

typedef struct ft_verify_options {
    const char *layer; /* the node whose output is the embedding; NULL: the pooled features */
    ft_distance distance;
    ft_views views; /* whose embeddings are added */
    int32_t batch, workers;
    bool direct; /* as ft_plan_spec.direct */
} ft_verify_options;

/* Called after every batch: done of n pictures. */
typedef void ft_verify_told(void *ctx, int64_t done, int64_t n);

/* Scores of the pairs (p->n), the caller's to free, with the pictures in that folder prepared as the model's
 * own preprocessing says. FT_E_DATA: a picture that is missing or bad, and which; FT_E_USAGE: no such node;
 * FT_E_NUMERIC: a score that is no number; FT_E_MEMORY. *score is then NULL. */
ft_err ft_verify_scores(ft_model *m, const ft_pairs *p, const char *folder, const ft_verify_options *o,
                        ft_verify_told *told, void *ctx, float **score);

/* Writes report.html into the folder, with the pictures of the worst pairs from `pictures`. o, m: of the
 * scores; title: the model's file. FT_E_IO, FT_E_MEMORY. */
ft_err ft_verify_report(const char *folder, const char *title, const ft_model *m, const char *pictures,
                        const ft_verify_options *o, const ft_pairs *p, const float *score,
                        const ft_verification *v);
/* Writes verification.json and scores.csv (file1, file2, same, fold, score) into the folder. FT_E_IO,
 * FT_E_MEMORY. */
ft_err ft_verify_write(const char *folder, const ft_pairs *p, const float *score, const ft_verification *v);
/* For people, at most 79 columns. */
void ft_verification_print(FILE *f, const ft_verification *v);

#endif
