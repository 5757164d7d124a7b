/* The images of a configuration: the data set, its split, what becomes of bad images, and how an image
 * becomes a network's input. The same for training, ft-eval and ft-data.
 */
#ifndef FACET_TRAIN_IMAGES_H
#define FACET_TRAIN_IMAGES_H

#include "data/augment.h"
#include "data/preprocess.h"
#include "data/quarantine.h"
#include "data/split.h"
#include "train/config.h"

/* Data as this configuration reads them, those at path; data.join belongs to data.path alone. Errors as
 * ft_dataset_open. */
ft_err ft_images_open(const ft_config *config, const char *path, ft_dataset **ds);
/* The split that it makes of them. Errors as ft_split_make. */
ft_err ft_images_split(const ft_config *config, const ft_dataset *ds, ft_split *split);
/* Where bad images go; NULL: they are errors. FT_E_MEMORY. */
ft_err ft_images_quarantine(const ft_config *config, const ft_dataset *ds, ft_quarantine **quarantine);
/* The input of its network, also of one that is not known, which ft_model_new will say. FT_E_CONFIG. */
ft_err ft_images_preprocess(const ft_config *config, ft_preprocess *image);
/* The random changes of training, for inputs of that size. FT_E_CONFIG. */
ft_err ft_images_augment(const ft_config *config, const ft_preprocess *image, ft_augment *augment);

#endif
