/* The YAML reader: libyaml's events against the option table.
 *
 * Whatever the table does not expect is an error at the event where it starts, so the recursion is as deep as
 * the table, whatever the file holds, and aliases are refused before they could expand.
 */
#include "train/config.h"
#include "train/config_options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

typedef struct {
    yaml_parser_t yaml;
    yaml_event_t event; /* the current one; its own to delete */
    const char *name, *text;
    size_t len;
    ft_config *config;
    size_t seen[FT_OPTIONS_MAX]; /* line of each row's key, 0: not yet */
} reader;

/* Puts "name:line:column: " in front of this thread's message. */
static ft_err locate(const reader *r, yaml_mark_t at) {
    return ft_err_prefix(FT_E_CONFIG, "%.512s:%zu:%zu", r->name, at.line + 1, at.column + 1);
}

__attribute__((format(printf, 3, 4))) static ft_err fail_at(const reader *r, yaml_mark_t at, const char *fmt,
                                                            ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ft_err_set(FT_E_CONFIG, "%s", text);
    return locate(r, at);
}

/* Line and column (in bytes) of a byte of the text. */
static yaml_mark_t mark_of(const reader *r, size_t offset) {
    yaml_mark_t at = {.index = offset};
    for (size_t i = 0; i < offset && i < r->len; ++i) {
        ++at.column;
        if (r->text[i] == '\n') ++at.line, at.column = 0;
    }
    return at;
}

static ft_err fail_syntax(const reader *r) {
    const yaml_parser_t *yaml = &r->yaml;
    const char *problem = yaml->problem ? yaml->problem : "cannot be read";
    if (yaml->error == YAML_MEMORY_ERROR) FT_FAIL(MEMORY, "no memory to read %.512s", r->name);
    if (yaml->error == YAML_READER_ERROR)
        return fail_at(r, mark_of(r, yaml->problem_offset), "not YAML: %s", problem);
    return fail_at(r, yaml->problem_mark, "not YAML: %s%s%s", yaml->context ? yaml->context : "",
                   yaml->context ? ", " : "", problem);
}

/* Makes the next event the current one, and refuses what no part of a configuration may use. */
static ft_err advance(reader *r) {
    yaml_event_delete(&r->event);
    if (!yaml_parser_parse(&r->yaml, &r->event)) return fail_syntax(r);
    const yaml_event_t *e = &r->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return fail_at(r, e->start_mark, "aliases (*name) are not supported; write the value out");
    case YAML_SCALAR_EVENT:
        anchor = e->data.scalar.anchor, tag = e->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = e->data.sequence_start.anchor, tag = e->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = e->data.mapping_start.anchor, tag = e->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor) return fail_at(r, e->start_mark, "anchors (&name) are not supported; remove it");
    if (tag) return fail_at(r, e->start_mark, "tags (!name) are not supported; remove it");
    return FT_OK;
}

enum { PHASE = FT_OPTION_ROOT - 1 }; /* the section of a phase's own keys */

/* The current event is a key of section: its row. */
static ft_err read_key(reader *r, int section, int *row) {
    const yaml_event_t *e = &r->event;
    if (e->type != YAML_SCALAR_EVENT)
        return fail_at(r, e->start_mark, "a key must be a name, not a %s",
                       e->type == YAML_MAPPING_START_EVENT ? "mapping" : "sequence");
    const char *name = (const char *)e->data.scalar.value;
    size_t len = e->data.scalar.length;
    if (len == 2 && memcmp(name, "<<", 2) == 0)
        return fail_at(r, e->start_mark, "merge keys (<<) are not supported; write the keys out");
    *row = section == PHASE ? ft_phase_child(name, len) : ft_option_child(section, name, len);
    if (*row < 0) {
        section == PHASE ? ft_phase_unknown(name, len) : ft_option_unknown(section, name, len);
        return locate(r, e->start_mark);
    }
    if (r->seen[*row])
        return fail_at(r, e->start_mark, "duplicate key %s, first set in line %zu; keep one of the two",
                       ft_options[*row].key, r->seen[*row]);
    r->seen[*row] = e->start_mark.line + 1;
    return FT_OK;
}

static bool is_null(const yaml_event_t *e) {
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
        if (strcmp((const char *)e->data.scalar.value, words[i]) == 0) return true;
    return false;
}

/* The current event is the value of an option. */
static ft_err read_value(reader *r, int row) {
    const ft_option *option = &ft_options[row];
    const yaml_event_t *e = &r->event;
    char valid[FT_OPTION_VALID_BYTES], shown[FT_OPTION_SHOWN_BYTES];
    ft_option_valid(row, valid);
    if (e->type != YAML_SCALAR_EVENT)
        return fail_at(r, e->start_mark, "%s: a %s where one value belongs; expected %s", option->key,
                       e->type == YAML_MAPPING_START_EVENT ? "mapping" : "sequence", valid);
    bool text = option->type == FT_OPTION_STRING || option->type == FT_OPTION_REQUIRED;
    if (is_null(e))
        return fail_at(r, e->start_mark, "%s has no value; expected %s%s", option->key, valid,
                       text ? " (\"\" is the empty text)" : ", or remove the key");
    const char *value = (const char *)e->data.scalar.value;
    size_t len = e->data.scalar.length;
    if (!text && option->type != FT_OPTION_CHOICE && e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return fail_at(r, e->start_mark, "%s: \"%s\" is text because of its quotes; expected %s", option->key,
                       ft_option_shown(value, len, shown), valid);
    if (ft_option_parse(row, value, len, r->config) != FT_OK) return locate(r, e->start_mark);
    return FT_OK;
}

static ft_err read_mapping(reader *r, int section);
static ft_err read_entry(reader *r, int row);

/* The current event is the value of a section. */
static ft_err read_section(reader *r, int row) {
    const yaml_event_t *e = &r->event;
    const ft_option *option = &ft_options[row];
    if (e->type == YAML_MAPPING_START_EVENT) return read_mapping(r, row);
    if (e->type == YAML_SCALAR_EVENT && option->usual) {
        int usual = ft_option_child(row, option->usual, strlen(option->usual));
        if (is_null(e)) return FT_OK;
        r->seen[usual] = e->start_mark.line + 1;
        return read_value(r, usual);
    }
    if (e->type == YAML_SCALAR_EVENT && is_null(e)) return FT_OK;
    return fail_at(r, e->start_mark, "%s: a %s where a mapping belongs; write its options, as {%s: ...}",
                   option->key, e->type == YAML_SCALAR_EVENT ? "single value" : "sequence",
                   ft_option_leaf(ft_option_next_child(row, row)));
}

/* Adds an item to the text of a list. */
static ft_err add_item(reader *r, int row, ft_config_list list) {
    const yaml_event_t *e = &r->event;
    size_t used = strlen(list), len = e->type == YAML_SCALAR_EVENT ? e->data.scalar.length : 0;
    if (e->type != YAML_SCALAR_EVENT || len == 0 || memchr(e->data.scalar.value, ',', len))
        return fail_at(r, e->start_mark, "%s: an item is a text without commas, and not empty",
                       ft_options[row].key);
    if (used + len + 2 > FT_CONFIG_LIST_BYTES)
        return fail_at(r, e->start_mark, "%s: over %d bytes in all", ft_options[row].key,
                       FT_CONFIG_LIST_BYTES);
    if (used) list[used++] = ',';
    memcpy(list + used, e->data.scalar.value, len);
    list[used + len] = '\0';
    return FT_OK;
}

/* The current event is the value of a list, or of a mapping of patterns to numbers. */
static ft_err read_list(reader *r, int row) {
    bool map = ft_options[row].type == FT_OPTION_MAP;
    yaml_mark_t start = r->event.start_mark;
    ft_config_list list = "";
    if (!map && r->event.type == YAML_SCALAR_EVENT) {
        FT_TRY(add_item(r, row, list));
    } else if (r->event.type != (map ? YAML_MAPPING_START_EVENT : YAML_SEQUENCE_START_EVENT)) {
        return fail_at(r, start, "%s: expected %s", ft_options[row].key,
                       map ? "a mapping, as {\"mixed9*\": 0.1}" : "a list, as [one, two]");
    } else {
        for (;;) {
            FT_TRY(advance(r));
            if (r->event.type == YAML_SEQUENCE_END_EVENT || r->event.type == YAML_MAPPING_END_EVENT) break;
            FT_TRY(add_item(r, row, list));
            if (!map) continue;
            const char *pattern = strrchr(list, ',') ? strrchr(list, ',') + 1 : list;
            for (const char *other = list; other < pattern; other = strchr(other, ',') + 1)
                if (strncmp(other, pattern, strlen(pattern)) == 0 && other[strlen(pattern)] == '=')
                    return fail_at(r, r->event.start_mark, "%s: '%s' is there twice; keep one of the two",
                                   ft_options[row].key, pattern);
            strncat(list, "=", sizeof list - strlen(list) - 1);
            FT_TRY(advance(r));
            if (r->event.type != YAML_SCALAR_EVENT ||
                strlen(list) + r->event.data.scalar.length >= sizeof list)
                return fail_at(r, r->event.start_mark, "%s: expected a number", ft_options[row].key);
            strncat(list, (const char *)r->event.data.scalar.value, sizeof list - strlen(list) - 1);
        }
    }
    if (ft_option_parse(row, list, strlen(list), r->config) == FT_OK) return FT_OK;
    return locate(r, start);
}

/* The current event starts one phase; afterwards it is its end. What it says goes into values and seen. */
static ft_err read_phase(reader *r, ft_config *values, size_t seen[FT_OPTIONS_MAX]) {
    reader outer = *r;
    r->config = values;
    memset(r->seen, 0, sizeof r->seen);
    yaml_mark_t start = r->event.start_mark;
    int row = -1;
    for (;;) {
        FT_TRY(advance(r));
        if (r->event.type == YAML_MAPPING_END_EVENT) break;
        FT_TRY(read_key(r, PHASE, &row));
        FT_TRY(advance(r));
        FT_TRY(read_entry(r, row));
    }
    memcpy(seen, r->seen, sizeof r->seen);
    memcpy(r->seen, outer.seen, sizeof r->seen);
    r->config = outer.config;
    if (!seen[ft_phase_child("epochs", strlen("epochs"))])
        return fail_at(r, start, "a phase of train.phases needs epochs");
    return FT_OK;
}

/* The current event is the value of train.phases. */
static ft_err read_phases(reader *r) {
    int32_t n = 0;
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return fail_at(r, r->event.start_mark, "train.phases: expected a list of mappings, as [{epochs: 3}]");
    for (;;) {
        ft_config values;
        size_t seen[FT_OPTIONS_MAX];
        bool given[FT_OPTIONS_MAX];
        ft_config_defaults(&values);
        FT_TRY(advance(r));
        yaml_mark_t at = r->event.start_mark;
        if (r->event.type == YAML_SEQUENCE_END_EVENT) return FT_OK;
        if (r->event.type != YAML_MAPPING_START_EVENT)
            return fail_at(r, at, "train.phases: a phase is a mapping, as {epochs: 3}");
        if (n == FT_CONFIG_PHASES) return fail_at(r, at, "train.phases: at most %d", FT_CONFIG_PHASES);
        FT_TRY(read_phase(r, &values, seen));
        for (int row = 0; row < FT_OPTIONS_MAX; row++) given[row] = seen[row] > 0;
        if (ft_phase_put(r->config, n++, &values, given) != FT_OK) return locate(r, at);
    }
}

/* The current event is the value of that row. */
static ft_err read_entry(reader *r, int row) {
    switch (ft_options[row].type) {
    case FT_OPTION_SECTION:
        return read_section(r, row);
    case FT_OPTION_LIST:
    case FT_OPTION_MAP:
        return read_list(r, row);
    case FT_OPTION_PHASES:
        return read_phases(r);
    default:
        return read_value(r, row);
    }
}

/* The current event starts the mapping of section; afterwards it is its end. */
static ft_err read_mapping(reader *r, int section) {
    for (;;) {
        int row = -1;
        FT_TRY(advance(r));
        if (r->event.type == YAML_MAPPING_END_EVENT) return FT_OK;
        FT_TRY(read_key(r, section, &row));
        FT_TRY(advance(r));
        FT_TRY(read_entry(r, row));
    }
}

static ft_err read_stream(reader *r) {
    FT_TRY(advance(r)); /* the start of the stream */
    FT_TRY(advance(r));
    if (r->event.type == YAML_STREAM_END_EVENT) return FT_OK;
    FT_TRY(advance(r));
    if (r->event.type == YAML_MAPPING_START_EVENT)
        FT_TRY(read_mapping(r, FT_OPTION_ROOT));
    else if (r->event.type != YAML_SCALAR_EVENT || !is_null(&r->event))
        return fail_at(r, r->event.start_mark, "a configuration is a mapping; write key: value lines");
    FT_TRY(advance(r)); /* the end of the document */
    FT_TRY(advance(r));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail_at(r, r->event.start_mark, "a second document; a configuration is one document");
    return FT_OK;
}

ft_err ft_config_parse(const char *text, size_t len, const char *name, ft_config *config) {
    static const char bom[] = "\xEF\xBB\xBF";
    FT_REQUIRE(len <= FT_CONFIG_FILE_BYTES, CONFIG, "%.512s: over %d bytes; this is no configuration", name,
               FT_CONFIG_FILE_BYTES);
    if (len >= 3 && memcmp(text, bom, 3) == 0) text += 3, len -= 3;

    ft_config result;
    ft_config_defaults(&result);
    reader r = {.name = name, .text = text, .len = len, .config = &result};
    FT_REQUIRE(yaml_parser_initialize(&r.yaml), MEMORY, "no memory to read %.512s", name);
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, len);
    ft_err e = read_stream(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.yaml);
    if (e == FT_OK) memcpy(config, &result, sizeof result);
    return e;
}

ft_err ft_config_read(const char *path, ft_config *config) {
    FILE *file = fopen(path, "rb");
    FT_REQUIRE(file || errno != ENOMEM, MEMORY, "%.512s: no memory to read it", path);
    FT_REQUIRE(file, CONFIG, "%.512s: cannot be opened: %s", path, strerror(errno));
    char *text = malloc(FT_CONFIG_FILE_BYTES + 1); /* one more, to see that a file is too large */
    if (!text) {
        fclose(file);
        FT_FAIL(MEMORY, "no memory to read %.512s", path);
    }
    errno = 0;
    size_t len = fread(text, 1, FT_CONFIG_FILE_BYTES + 1, file);
    ft_err e = ferror(file) ? ft_err_set(FT_E_IO, "%.512s: cannot be read: %s", path, strerror(errno))
                            : ft_config_parse(text, len, path, config);
    free(text);
    fclose(file);
    return e;
}
