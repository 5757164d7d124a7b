#include "train/class_weights.h"

#include <math.h>

void ft_class_weights_balanced(int32_t k, ft_real *weights) {
    double n = 0;
    for (int32_t i = 0; i < k; i++) n += (double)weights[i];
    for (int32_t i = 0; i < k; i++)
        if (weights[i] > 0) weights[i] = (ft_real)(n / (k * (double)weights[i]));
}

void ft_class_weights_effective(int32_t k, double beta, ft_real *weights) {
    double sum = 0;
    int32_t there = 0;
    for (int32_t i = 0; i < k; i++) {
        if (!(weights[i] > 0)) continue;
        double w =
            -1 / expm1((double)weights[i] * log(beta)); /* 1 / (1 - beta^n), also where that is small */
        weights[i] = (ft_real)w;
        sum += w;
        there++;
    }
    for (int32_t i = 0; i < k && there > 0; i++) weights[i] = (ft_real)((double)weights[i] * there / sum);
}
