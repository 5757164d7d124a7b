/* The effective configuration as YAML, through libyaml's emitter. */
#include "train/config.h"
#include "train/config_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Hands over an event that its initialiser made (made = 1) or could not (0). */
static bool emit(yaml_emitter_t *yaml, int made, yaml_event_t *event) {
    return made && yaml_emitter_emit(yaml, event);
}

static bool emit_scalar(yaml_emitter_t *yaml, const char *text, yaml_scalar_style_t style) {
    yaml_event_t event;
    int made = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text),
                                            1, 1, style);
    return emit(yaml, made, &event);
}

static bool start_mapping(yaml_emitter_t *yaml, yaml_mapping_style_t style) {
    yaml_event_t event;
    return emit(yaml, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style), &event);
}

static bool end_mapping(yaml_emitter_t *yaml) {
    yaml_event_t event;
    return emit(yaml, yaml_mapping_end_event_initialize(&event), &event);
}

static bool start_sequence(yaml_emitter_t *yaml, yaml_sequence_style_t style) {
    yaml_event_t event;
    return emit(yaml, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style), &event);
}

static bool end_sequence(yaml_emitter_t *yaml) {
    yaml_event_t event;
    return emit(yaml, yaml_sequence_end_event_initialize(&event), &event);
}

/* The text of a list as a sequence. */
static bool emit_list(yaml_emitter_t *yaml, const char *list) {
    char item[FT_CONFIG_NAME_BYTES];
    if (!start_sequence(yaml, YAML_FLOW_SEQUENCE_STYLE)) return false;
    for (int32_t i = 0; ft_config_item(list, i, item, NULL); i++)
        if (!emit_scalar(yaml, item, YAML_DOUBLE_QUOTED_SCALAR_STYLE)) return false;
    return end_sequence(yaml);
}

/* The text of a mapping of patterns to numbers; the numbers as they were written. */
static bool emit_map(yaml_emitter_t *yaml, const char *list) {
    char item[FT_CONFIG_NAME_BYTES];
    if (!start_mapping(yaml, YAML_FLOW_MAPPING_STYLE)) return false;
    for (int32_t i = 0; ft_config_item(list, i, item, NULL); i++) {
        char *equals = strrchr(item, '=');
        *equals = '\0';
        if (!emit_scalar(yaml, item, YAML_DOUBLE_QUOTED_SCALAR_STYLE) ||
            !emit_scalar(yaml, equals + 1, YAML_PLAIN_SCALAR_STYLE))
            return false;
    }
    return end_mapping(yaml);
}

static bool emit_mapping(yaml_emitter_t *yaml, int section, const ft_config *config, const bool *given);
static bool emit_phases(yaml_emitter_t *yaml, const ft_config *config);

/* The value of a row; of a section, where given is not NULL, the options that it marks. */
static bool emit_value(yaml_emitter_t *yaml, int row, const ft_config *config, const bool *given) {
    char text[FT_OPTION_TEXT_BYTES];
    ft_option_text(row, config, text);
    switch (ft_options[row].type) {
    case FT_OPTION_SECTION:
        return emit_mapping(yaml, row, config, given);
    case FT_OPTION_PHASES:
        return emit_phases(yaml, config);
    case FT_OPTION_LIST:
        return emit_list(yaml, text);
    case FT_OPTION_MAP:
        return emit_map(yaml, text);
    case FT_OPTION_STRING:
    case FT_OPTION_REQUIRED:
        return emit_scalar(yaml, text, YAML_DOUBLE_QUOTED_SCALAR_STYLE);
    default:
        return emit_scalar(yaml, text, YAML_PLAIN_SCALAR_STYLE);
    }
}

/* Is the row, or one below it, marked? */
static bool is_given(int row, const bool *given) {
    bool any = !given || given[row];
    for (int child = row; !any && (child = ft_option_next_child(row, child)) >= 0;)
        any = is_given(child, given);
    return any;
}

static bool emit_mapping(yaml_emitter_t *yaml, int section, const ft_config *config, const bool *given) {
    if (!start_mapping(yaml, YAML_BLOCK_MAPPING_STYLE)) return false;
    for (int row = section; (row = ft_option_next_child(section, row)) >= 0;)
        if (is_given(row, given) && (!emit_scalar(yaml, ft_option_leaf(row), YAML_PLAIN_SCALAR_STYLE) ||
                                     !emit_value(yaml, row, config, given)))
            return false;
    return end_mapping(yaml);
}

static bool emit_phases(yaml_emitter_t *yaml, const ft_config *config) {
    if (!start_sequence(yaml,
                        *config->train.phases[0] ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE))
        return false;
    for (int32_t i = 0; i < FT_CONFIG_PHASES && *config->train.phases[i]; i++) {
        ft_config values;
        bool given[FT_OPTIONS_MAX];
        ft_phase_get(config, i, &values, given);
        if (!start_mapping(yaml, YAML_BLOCK_MAPPING_STYLE)) return false;
        for (int row = 0; row < ft_options_count; row++)
            if (ft_phase_name(row) && is_given(row, given) &&
                (!emit_scalar(yaml, ft_phase_name(row), YAML_PLAIN_SCALAR_STYLE) ||
                 !emit_value(yaml, row, &values, given)))
                return false;
        if (!end_mapping(yaml)) return false;
    }
    return end_sequence(yaml);
}

static bool emit_document(yaml_emitter_t *yaml, const ft_config *config) {
    yaml_event_t event;
    return emit(yaml, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event) &&
           emit(yaml, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1), &event) &&
           emit_mapping(yaml, FT_OPTION_ROOT, config, NULL) &&
           emit(yaml, yaml_document_end_event_initialize(&event, 1), &event) &&
           emit(yaml, yaml_stream_end_event_initialize(&event), &event);
}

ft_err ft_config_write(const ft_config *config, FILE *file) {
    yaml_emitter_t yaml;
    FT_REQUIRE(yaml_emitter_initialize(&yaml), MEMORY, "no memory to write the configuration");
    yaml_emitter_set_output_file(&yaml, file);
    yaml_emitter_set_unicode(&yaml, 1);
    yaml_emitter_set_width(&yaml, -1); /* no folding of long paths */
    errno = 0;
    bool written = emit_document(&yaml, config);
    bool memory = yaml.error != YAML_WRITER_ERROR;
    yaml_emitter_delete(&yaml);
    FT_REQUIRE(written || !memory, MEMORY, "no memory to write the configuration");
    FT_REQUIRE(written && fflush(file) == 0, IO, "cannot write the configuration: %s", strerror(errno));
    return FT_OK;
}

ft_err ft_config_to_text(const ft_config *config, char **text, size_t *len) {
    char *made = NULL;
    size_t made_len = 0;
    FILE *file = open_memstream(&made, &made_len);
    FT_REQUIRE(file, MEMORY, "no memory to write the configuration");
    ft_err e = ft_config_write(config, file);
    bool whole =
        fclose(file) == 0 && made; /* glibc's gives no text, and no error, where memory ends in closing */
    if (!whole && e == FT_OK) e = ft_err_set(FT_E_MEMORY, "no memory to write the configuration");
    if (e == FT_OK)
        *text = made, *len = made_len;
    else
        free(made);
    return e;
}
