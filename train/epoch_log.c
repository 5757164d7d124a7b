#include "train/epoch_log.h"

#include <math.h>

void ft_tell_heads(FILE *log, const ft_evaluation *ev) {
    for (int32_t k = 0; k < ev->n_heads; k++) {
        const ft_head_result *h = &ev->head_results[k];
        if (h->numbers)
            fprintf(log, "  %s: mean absolute error %.4g, correlation %.4f\n", h->name, h->numbers->mae,
                    h->numbers->correlation);
        else if (h->classes)
            fprintf(log, "  %s: accuracy %.4f, F1 %.4f\n", h->name, h->classes->accuracy,
                    h->classes->f1_macro);
        else
            fprintf(log, "  %s: F1 %.4f (micro), all right %.4f\n", h->name, h->multilabel->f1_micro,
                    h->multilabel->accuracy);
    }
}

void ft_tell_epoch(FILE *log, const ft_history_row *row, int32_t epochs, bool validated, bool best) {
    fprintf(log, "epoch %lld/%d  loss %.4f", (long long)row->epoch, epochs, row->train_loss);
    if (validated)
        fprintf(log, "  val_loss %.4f  val_accuracy %.4f  val_recall %.4f  val_f1 %.4f  val_auc %.4f",
                row->val_loss, row->val_accuracy, row->val_recall, row->val_f1, row->val_auc);
    fprintf(log, "  lr %.3g  %.1f img/s  %.1f s%s\n", row->lr, row->images_per_second, row->seconds,
            best ? "  *" : "");
    fflush(log);
}

double ft_monitored(ft_config_monitor monitor, const ft_history_row *row) {
    switch (monitor) {
    case FT_CONFIG_MONITOR_NONE:
        break;
    case FT_CONFIG_MONITOR_VAL_LOSS:
        return row->val_loss;
    case FT_CONFIG_MONITOR_VAL_ACCURACY:
        return row->val_accuracy;
    case FT_CONFIG_MONITOR_VAL_F1:
        return row->val_f1;
    case FT_CONFIG_MONITOR_VAL_RECALL:
        return row->val_recall;
    case FT_CONFIG_MONITOR_VAL_AUC:
        return row->val_auc;
    }
    return NAN;
}

bool ft_monitored_better(ft_config_monitor monitor, double value, double best, double min_delta) {
    if (isnan(value)) return false;
    if (isnan(best)) return true;
    return monitor == FT_CONFIG_MONITOR_VAL_LOSS ? value < best - min_delta : value > best + min_delta;
}
