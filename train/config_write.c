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

static bool emit_mapping(yaml_emitter_t *yaml, int section, const ft_config *config) {
    yaml_event_t event;
    if (!emit(yaml, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE),
              &event))
        return false;
    for (int row = section; (row = ft_option_next_child(section, row)) >= 0;) {
        ft_option_type type = ft_options[row].type;
        if (!emit_scalar(yaml, ft_option_leaf(row), YAML_PLAIN_SCALAR_STYLE)) return false;
        if (type == FT_OPTION_SECTION) {
            if (!emit_mapping(yaml, row, config)) return false;
            continue;
        }
        char text[FT_OPTION_TEXT_BYTES];
        ft_option_text(row, config, text);
        bool quoted = type == FT_OPTION_STRING || type == FT_OPTION_REQUIRED;
        if (!emit_scalar(yaml, text, quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE))
            return false;
    }
    return emit(yaml, yaml_mapping_end_event_initialize(&event), &event);
}

static bool emit_document(yaml_emitter_t *yaml, const ft_config *config) {
    yaml_event_t event;
    return emit(yaml, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event) &&
           emit(yaml, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1), &event) &&
           emit_mapping(yaml, FT_OPTION_ROOT, config) &&
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
    if (fclose(file) != 0 && e == FT_OK) e = ft_err_set(FT_E_MEMORY, "no memory to write the configuration");
    if (e == FT_OK)
        *text = made, *len = made_len;
    else
        free(made);
    return e;
}
