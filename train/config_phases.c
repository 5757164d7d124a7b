/* The phases of a training: each a few options on top of the configuration, kept as lines "key=value". */
#include "train/config.h"
#include "train/config_options.h"

#include <stdio.h>
#include <string.h>

/* The keys of a phase, and what they are outside. */
static const char *const keys[][2] = {
    {"epochs", "train.epochs"},
    {"batch", "train.batch"},
    {"accumulate", "train.accumulate"},
    {"optimizer", "train.optimizer"},
    {"clip", "train.clip"},
    {"schedule", "train.schedule"},
    {"loss", "train.loss"},
    {"early_stop", "train.early_stop"},
    {"lr_multipliers", "train.lr_multipliers"},
    {"feature_cache", "train.feature_cache"},
    {"freeze", "model.freeze"},
    {"augment", "data.augment"},
};
enum { N_KEYS = sizeof keys / sizeof *keys };

static int row_of(const char *key, size_t len) {
    for (int row = 0; row < ft_options_count; row++)
        if (strlen(ft_options[row].key) == len && memcmp(ft_options[row].key, key, len) == 0) return row;
    return -1;
}

int ft_phase_child(const char *name, size_t len) {
    for (int i = 0; i < N_KEYS; i++)
        if (strlen(keys[i][0]) == len && memcmp(keys[i][0], name, len) == 0)
            return row_of(keys[i][1], strlen(keys[i][1]));
    return -1;
}

const char *ft_phase_name(int row) {
    for (int i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i][1], ft_options[row].key) == 0) return keys[i][0];
    return NULL;
}

ft_err ft_phase_unknown(const char *name, size_t len) {
    char shown[FT_OPTION_SHOWN_BYTES], valid[256] = "";
    for (int i = 0; i < N_KEYS; i++) {
        strcat(valid, i ? ", " : "");
        strcat(valid, keys[i][0]);
    }
    FT_FAIL(CONFIG, "unknown key '%s' in a phase of train.phases; valid keys there: %s",
            ft_option_shown(name, len, shown), valid);
}

void ft_phase_get(const ft_config *config, int32_t i, ft_config *values, bool given[FT_OPTIONS_MAX]) {
    ft_config_defaults(values);
    memset(given, 0, FT_OPTIONS_MAX * sizeof *given);
    for (const char *line = config->train.phases[i]; *line; line += strcspn(line, "\n") + 1) {
        size_t key = strcspn(line, "="), len = strcspn(line, "\n");
        int row = row_of(line, key);
        if (row < 0 || ft_option_parse(row, line + key + 1, len - key - 1, values) != FT_OK) continue;
        given[row] = true;
    }
}

static bool is_about_freezing(int row) {
    return strncmp(ft_options[row].key, "model.freeze", strlen("model.freeze")) == 0;
}

ft_err ft_phase_put(ft_config *config, int32_t i, const ft_config *values, const bool given[FT_OPTIONS_MAX]) {
    char lines[FT_CONFIG_PHASE_BYTES] = "", value[FT_OPTION_TEXT_BYTES];
    size_t len = 0;
    bool freezes = false; /* what is frozen holds as a whole, {} too */
    for (int row = 0; row < ft_options_count; row++) freezes |= given[row] && is_about_freezing(row);
    for (int row = 0; row < ft_options_count; row++) {
        bool kept = given[row] || (freezes && is_about_freezing(row));
        if (!kept || ft_options[row].type == FT_OPTION_SECTION) continue;
        ft_option_text(row, values, value);
        FT_REQUIRE(!strchr(value, '\n'), CONFIG, "train.phases[%d]: %s: a line break cannot be kept", (int)i,
                   ft_options[row].key);
        int more = snprintf(lines + len, sizeof lines - len, "%s=%s\n", ft_options[row].key, value);
        FT_REQUIRE(more > 0 && (size_t)more < sizeof lines - len, CONFIG,
                   "train.phases[%d]: sets too much; at most %d bytes are kept", (int)i,
                   FT_CONFIG_PHASE_BYTES);
        len += (size_t)more;
    }
    memset(config->train.phases[i], 0, sizeof config->train.phases[i]);
    memcpy(config->train.phases[i], lines, len);
    return FT_OK;
}

int32_t ft_config_n_phases(const ft_config *config) {
    int32_t n = 0;
    while (n < FT_CONFIG_PHASES && *config->train.phases[n]) n++;
    return n > 0 ? n : 1;
}

ft_err ft_config_phase(const ft_config *config, int32_t i, ft_config *out) {
    *out = *config;
    memset(out->train.phases, 0, sizeof out->train.phases);
    if (!*config->train.phases[0]) return FT_OK;
    ft_config values;
    bool given[FT_OPTIONS_MAX];
    ft_phase_get(config, i, &values, given);
    if (values.train.optimizer.name != config->train.optimizer.name &&
        given[row_of("train.optimizer.name", strlen("train.optimizer.name"))])
        out->train.optimizer.lr = out->train.optimizer.epsilon = out->train.optimizer.weight_decay =
            FT_CONFIG_AUTO; /* what was right for the other one */
    for (int row = 0; row < ft_options_count; row++) {
        char value[FT_OPTION_TEXT_BYTES];
        if (!given[row]) continue;
        ft_option_text(row, &values, value);
        FT_TRY(ft_option_parse(row, value, strlen(value), out));
    }
    return FT_OK;
}
