/* The option table's form, and the walks over it that the readers and writers of train/config.h share. */
#ifndef FACET_TRAIN_CONFIG_OPTIONS_H
#define FACET_TRAIN_CONFIG_OPTIONS_H

#include "train/config.h"

typedef enum {
    FT_OPTION_SECTION,  /* a mapping; its options and sections follow it in the table */
    FT_OPTION_BOOL,     /* bool */
    FT_OPTION_INT,      /* int32_t */
    FT_OPTION_UINT,     /* uint64_t */
    FT_OPTION_REAL,     /* double, finite */
    FT_OPTION_AUTO,     /* double, finite, or the word auto (FT_CONFIG_AUTO) */
    FT_OPTION_BYTES,    /* int64_t: a number with a unit, or 0 */
    FT_OPTION_CHOICE,   /* int or an enum: one of choices */
    FT_OPTION_STRING,   /* char[size], UTF-8 */
    FT_OPTION_REQUIRED, /* as STRING, and ft_config_check refuses an empty one */
    FT_OPTION_LIST,     /* ft_config_list of texts */
    FT_OPTION_MAP,      /* ft_config_list of pattern=number, the number in the range */
    FT_OPTION_PHASES    /* train.phases */
} ft_option_type;

typedef struct ft_range {
    double low, high; /* +-HUGE_VAL: no bound */
    bool low_open, high_open;
} ft_range;

typedef struct ft_choice {
    const char *name; /* NULL ends the list */
    int value;
} ft_choice;

typedef struct ft_option {
    const char *key; /* from the root: "train.optimizer.lr" */
    ft_option_type type;
    size_t at, size; /* the field in ft_config, bytes */
    ft_range range;
    const ft_choice *choices;
    const char *usual; /* the default as text; of a section: the option that a lone scalar sets, or NULL */
    const char *doc;
} ft_option;

enum { FT_OPTIONS_MAX = 192, FT_OPTION_ROOT = -1 };
extern const ft_option ft_options[];
extern const int ft_options_count;

/* The row of the direct child name[0..len) of section (a row, or FT_OPTION_ROOT); -1: there is none. */
int ft_option_child(int section, const char *name, size_t len);
/* The next direct child of section after row (start with the section itself); -1 after the last. */
int ft_option_next_child(int section, int row);
/* The last part of a row's key: "lr". */
const char *ft_option_leaf(int row);
/* FT_E_CONFIG: section has no child of that name; the message offers the nearest key, or lists the valid
 * ones. */
ft_err ft_option_unknown(int section, const char *name, size_t len);

/* Reads text[0..len) into the field of the row (not a section). FT_E_CONFIG, without a place, names the key,
 * the text and what is valid; the field is then untouched. */
ft_err ft_option_parse(int row, const char *text, size_t len, ft_config *config);

enum { FT_OPTION_TEXT_BYTES = FT_CONFIG_PATH_BYTES };
/* The field's value as ft_option_parse reads it. */
void ft_option_text(int row, const ft_config *config, char text[FT_OPTION_TEXT_BYTES]);

/* The row below a phase of that name ("optimizer", "freeze"); -1: none. */
int ft_phase_child(const char *name, size_t len);
/* FT_E_CONFIG: a phase has no such key. */
ft_err ft_phase_unknown(const char *name, size_t len);
/* The name within a phase of a direct child row of ft_phase_child, or NULL. */
const char *ft_phase_name(int row);
/* What phase i sets: given[row] for the rows of options, with their values in *values, all else default. */
void ft_phase_get(const ft_config *config, int32_t i, ft_config *values, bool given[FT_OPTIONS_MAX]);
/* given: rows, of options or of sections. Of model.freeze all or nothing is kept. FT_E_CONFIG: too much to be
 * kept. */
ft_err ft_phase_put(ft_config *config, int32_t i, const ft_config *values, const bool given[FT_OPTIONS_MAX]);

enum { FT_OPTION_VALID_BYTES = 256 };
/* What the row accepts, in words: "an integer >= 1", "one of none, balanced". */
void ft_option_valid(int row, char text[FT_OPTION_VALID_BYTES]);

enum { FT_OPTION_SHOWN_BYTES = 64 };
/* Somebody's text made fit for a message: controls and what is not UTF-8 as '?', long text cut with "...".
 * Returns out. */
const char *ft_option_shown(const char *text, size_t len, char out[FT_OPTION_SHOWN_BYTES]);
/* Bytes of the UTF-8 character (RFC 3629) that text[0..len) starts with, 0 when it does not. */
size_t ft_option_utf8_bytes(const char *text, size_t len);

#endif
