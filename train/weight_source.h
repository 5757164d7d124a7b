/* Where a network's first weights come from: a file of another program, or a model of Facet's own. */
#ifndef FACET_TRAIN_WEIGHT_SOURCE_H
#define FACET_TRAIN_WEIGHT_SOURCE_H

#include "train/weight_map.h"

typedef struct ft_weight_source {
    ft_weight_file *file;
    ft_model *model; /* of Facet's own; NULL: another program's */
} ft_weight_source;

/* format: "facet", or as ft_weight_format_parse takes it. Errors as ft_weight_file_read and
 * ft_checkpoint_read_model; *s then needs no closing. */
ft_err ft_weight_source_open(ft_weight_source *s, const char *path, const char *format);
void ft_weight_source_close(ft_weight_source *s); /* harmless after itself */

/* FT_E_CONFIG: a model of Facet's own saw its images otherwise; the message says what to set. */
ft_err ft_weight_source_check_image(const ft_weight_source *s, const ft_preprocess *image);

#endif
