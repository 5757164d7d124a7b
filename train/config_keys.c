/* Walks over the option table: children by name, what a row accepts in words, and the nearest key to a wrong
 * one. */
#include "train/config_options.h"

#include <math.h>
#include <string.h>

/* name[0..len) is the whole of word */
static bool same(const char *word, const char *name, size_t len) {
    return strlen(word) == len && memcmp(word, name, len) == 0;
}

/* The part of row's key below section, NULL when it is not inside. */
static const char *below(int section, int row) {
    const char *key = ft_options[row].key;
    if (section == FT_OPTION_ROOT) return key;
    size_t len = strlen(ft_options[section].key);
    return strncmp(key, ft_options[section].key, len) == 0 && key[len] == '.' ? key + len + 1 : NULL;
}

int ft_option_next_child(int section, int row) {
    while (++row < ft_options_count) {
        const char *rest = below(section, row);
        if (rest && !strchr(rest, '.')) return row;
    }
    return -1;
}

int ft_option_child(int section, const char *name, size_t len) {
    int row = section;
    while ((row = ft_option_next_child(section, row)) >= 0)
        if (same(ft_option_leaf(row), name, len)) return row;
    return -1;
}

const char *ft_option_leaf(int row) {
    const char *dot = strrchr(ft_options[row].key, '.');
    return dot ? dot + 1 : ft_options[row].key;
}

size_t ft_option_utf8_bytes(const char *start, size_t len) {
    const unsigned char *text = (const unsigned char *)start;
    static const struct {
        unsigned char first, last, low, high; /* of the first byte; of the second */
        size_t bytes;
    } forms[] = {{0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
                 {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
                 {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
    if (len > 0 && text[0] < 0x80) return 1;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; ++i) {
        if (len < forms[i].bytes || text[0] < forms[i].first || text[0] > forms[i].last) continue;
        if (text[1] < forms[i].low || text[1] > forms[i].high) return 0;
        for (size_t k = 2; k < forms[i].bytes; ++k)
            if (text[k] < 0x80 || text[k] > 0xBF) return 0;
        return forms[i].bytes;
    }
    return 0;
}

const char *ft_option_shown(const char *text, size_t len, char out[FT_OPTION_SHOWN_BYTES]) {
    size_t used = 0;
    for (size_t at = 0, bytes; at < len; at += bytes) {
        bytes = ft_option_utf8_bytes(text + at, len - at);
        if (used + 4 + sizeof "..." > FT_OPTION_SHOWN_BYTES) {
            memcpy(out + used, "...", sizeof "...");
            return out;
        }
        unsigned char c = (unsigned char)text[at], next = bytes == 2 ? (unsigned char)text[at + 1] : 0;
        bool control = c < 0x20 || c == 0x7F || (c == 0xC2 && next < 0xA0);
        if (bytes == 0 || control) {
            out[used++] = '?';
            bytes += bytes == 0;
        } else {
            memcpy(out + used, text + at, bytes);
            used += bytes;
        }
    }
    out[used] = '\0';
    return out;
}

/* Appends to a string held in bytes of memory, as far as it fits. */
static void append(char *text, size_t bytes, const char *more) {
    size_t used = strlen(text);
    snprintf(text + used, bytes - used, "%s", more);
}

static void append_range(char *text, size_t bytes, const ft_range *range) {
    char bound[64];
    bool low = range->low > -HUGE_VAL, high = range->high < HUGE_VAL;
    if (low) {
        snprintf(bound, sizeof bound, " %s %g", range->low_open ? ">" : ">=", range->low);
        append(text, bytes, bound);
    }
    if (high) {
        snprintf(bound, sizeof bound, "%s %s %g", low ? " and" : "",
                 range->high_open ? "<" : "<=", range->high);
        append(text, bytes, bound);
    }
}

void ft_option_valid(int row, char text[FT_OPTION_VALID_BYTES]) {
    const ft_option *option = &ft_options[row];
    text[0] = '\0';
    switch (option->type) {
    case FT_OPTION_SECTION:
        append(text, FT_OPTION_VALID_BYTES, "a mapping");
        break;
    case FT_OPTION_BOOL:
        append(text, FT_OPTION_VALID_BYTES, "true or false");
        break;
    case FT_OPTION_UINT:
        append(text, FT_OPTION_VALID_BYTES, "an integer >= 0 and < 2^64");
        break;
    case FT_OPTION_INT:
        append(text, FT_OPTION_VALID_BYTES, "an integer");
        append_range(text, FT_OPTION_VALID_BYTES, &option->range);
        break;
    case FT_OPTION_REAL:
    case FT_OPTION_AUTO:
        append(text, FT_OPTION_VALID_BYTES, "a number");
        append_range(text, FT_OPTION_VALID_BYTES, &option->range);
        if (option->type == FT_OPTION_AUTO) append(text, FT_OPTION_VALID_BYTES, ", or auto");
        break;
    case FT_OPTION_BYTES:
        append(text, FT_OPTION_VALID_BYTES, "a size such as 6GiB or 800MB, or 0");
        break;
    case FT_OPTION_CHOICE:
        append(text, FT_OPTION_VALID_BYTES, option->choices[1].name ? "one of " : "");
        for (const ft_choice *c = option->choices; c->name; ++c) {
            append(text, FT_OPTION_VALID_BYTES, c == option->choices ? "" : ", ");
            append(text, FT_OPTION_VALID_BYTES, c->name);
        }
        break;
    case FT_OPTION_STRING:
        append(text, FT_OPTION_VALID_BYTES, "text");
        break;
    case FT_OPTION_REQUIRED:
        append(text, FT_OPTION_VALID_BYTES, "text, not empty");
        break;
    case FT_OPTION_LIST:
        append(text, FT_OPTION_VALID_BYTES, "a list of texts without commas");
        break;
    case FT_OPTION_MAP:
        append(text, FT_OPTION_VALID_BYTES, "a mapping of patterns to numbers");
        append_range(text, FT_OPTION_VALID_BYTES, &option->range);
        break;
    case FT_OPTION_PHASES:
        append(text, FT_OPTION_VALID_BYTES, "a list of mappings");
        break;
    }
}

/* Insertions, deletions and replacements between a word and name[0..len) (Levenshtein, 1966), by rows of the
 * matrix. */
static size_t edit_distance(const char *word, const char *name, size_t len) {
    enum { LONGEST = 64 };
    size_t n = strlen(word), distance[LONGEST + 1];
    if (n > LONGEST || len > LONGEST) return LONGEST;
    for (size_t i = 0; i <= n; ++i) distance[i] = i;
    for (size_t k = 1; k <= len; ++k) {
        size_t diagonal = distance[0];
        distance[0] = k;
        for (size_t i = 1; i <= n; ++i) {
            size_t replaced = diagonal + (word[i - 1] != name[k - 1]);
            diagonal = distance[i];
            size_t shorter = distance[i - 1] < diagonal ? distance[i - 1] : diagonal;
            distance[i] = shorter + 1 < replaced ? shorter + 1 : replaced;
        }
    }
    return distance[n];
}

/* A sibling that differs by a slip of the pen, else the same name elsewhere (nearest first: inside section),
 * else -1. */
static int nearest(int section, const char *name, size_t len) {
    size_t least = len < 5 ? 2 : (len + 1) / 3 + 1;
    int best = -1;
    for (int row = section; (row = ft_option_next_child(section, row)) >= 0;) {
        size_t distance = edit_distance(ft_option_leaf(row), name, len);
        if (distance < least) least = distance, best = row;
    }
    if (best >= 0) return best;
    for (int row = ft_options_count - 1; row >= 0; --row) {
        if (same(ft_option_leaf(row), name, len) &&
            (best < 0 || below(section, row) || !below(section, best)))
            best = row;
    }
    return best;
}

ft_err ft_option_unknown(int section, const char *name, size_t len) {
    char shown[FT_OPTION_SHOWN_BYTES], siblings[1024] = "";
    ft_option_shown(name, len, shown);
    bool root = section == FT_OPTION_ROOT;
    const char *in = root ? "at" : "in", *where = root ? "the top level" : ft_options[section].key;
    if (memchr(name, '.', len))
        FT_FAIL(CONFIG,
                "unknown key '%s' %s %s; dots join keys in --set only, in a file nest one mapping in another",
                shown, in, where);
    int near = nearest(section, name, len);
    if (near >= 0)
        FT_FAIL(CONFIG, "unknown key '%s' %s %s; did you mean %s?", shown, in, where, ft_options[near].key);
    for (int row = section; (row = ft_option_next_child(section, row)) >= 0;) {
        append(siblings, sizeof siblings, siblings[0] ? ", " : "");
        append(siblings, sizeof siblings, ft_option_leaf(row));
    }
    if (siblings[0] == '\0') FT_FAIL(CONFIG, "%s is not a section: it has no '%s'", where, shown);
    FT_FAIL(CONFIG, "unknown key '%s' %s %s; valid keys there: %s", shown, in, where, siblings);
}
