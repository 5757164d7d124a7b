/* Values of options: text to field and back, overrides, and the rules that span several options. */
#include "train/config.h"
#include "optim/optim.h"
#include "train/config_options.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void store(int row, ft_config *config, const void *value, size_t bytes) {
    memcpy((char *)config + ft_options[row].at, value, bytes);
}

static void load(int row, const ft_config *config, void *value, size_t bytes) {
    memcpy(value, (const char *)config + ft_options[row].at, bytes);
}

/* FT_E_CONFIG: "train.batch: '0' is out of range; expected an integer >= 1". */
static ft_err refuse(int row, const char *text, size_t len, const char *problem) {
    char shown[FT_OPTION_SHOWN_BYTES], valid[FT_OPTION_VALID_BYTES];
    ft_option_shown(text, len, shown);
    ft_option_valid(row, valid);
    FT_FAIL(CONFIG, "%s: '%s' %s; expected %s", ft_options[row].key, shown, problem, valid);
}

static size_t n_digits(const char *text) {
    return strspn(text, "0123456789");
}

/* [-+]? [0-9]+ of YAML's core schema */
static bool is_integer(const char *text) {
    text += *text == '-' || *text == '+';
    size_t n = n_digits(text);
    return n > 0 && text[n] == '\0';
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? of YAML's core schema */
static bool is_real(const char *text) {
    text += *text == '-' || *text == '+';
    size_t whole = n_digits(text), fraction = 0;
    text += whole;
    if (*text == '.') {
        fraction = n_digits(++text);
        text += fraction;
    }
    if (whole + fraction == 0) return false;
    if (*text == 'e' || *text == 'E') {
        ++text;
        text += *text == '-' || *text == '+';
        size_t exponent = n_digits(text);
        if (exponent == 0) return false;
        text += exponent;
    }
    return *text == '\0';
}

/* .nan, -.inf and what C writes for them */
static bool is_special(const char *text) {
    text += *text == '-' || *text == '+';
    text += *text == '.';
    return strcasecmp(text, "nan") == 0 || strcasecmp(text, "inf") == 0 || strcasecmp(text, "infinity") == 0;
}

static bool is_one_of(const char *text, const char *const words[], size_t n) {
    for (size_t i = 0; i < n; ++i)
        if (strcmp(text, words[i]) == 0) return true;
    return false;
}

static bool in_range(const ft_range *range, double x) {
    return (range->low_open ? x > range->low : x >= range->low) &&
           (range->high_open ? x < range->high : x <= range->high);
}

static ft_err parse_string(int row, const char *text, size_t len, ft_config *config) {
    const ft_option *option = &ft_options[row];
    FT_REQUIRE(len < option->size, CONFIG, "%s: %zu bytes are too long; expected at most %zu", option->key,
               len, option->size - 1);
    if (memchr(text, '\0', len)) return refuse(row, text, len, "has a zero byte");
    for (size_t at = 0, bytes; at < len; at += bytes) {
        bytes = ft_option_utf8_bytes(text + at, len - at);
        if (bytes == 0) return refuse(row, text, len, "is not UTF-8");
    }
    char *field = (char *)config + option->at;
    memset(field, 0, option->size);
    memcpy(field, text, len);
    return FT_OK;
}

static ft_err parse_bool(int row, const char *text, size_t len, ft_config *config) {
    static const char *const yes[] = {"true", "True", "TRUE"}, *const no[] = {"false", "False", "FALSE"};
    bool value = is_one_of(text, yes, 3);
    if (!value && !is_one_of(text, no, 3)) return refuse(row, text, len, "is not a truth value");
    store(row, config, &value, sizeof value);
    return FT_OK;
}

static ft_err parse_int(int row, const char *text, size_t len, ft_config *config) {
    if (!is_integer(text)) return refuse(row, text, len, "is not an integer");
    errno = 0;
    long long wide = strtoll(text, NULL, 10);
    if (errno || wide < INT32_MIN || wide > INT32_MAX || !in_range(&ft_options[row].range, (double)wide))
        return refuse(row, text, len, "is out of range");
    int32_t value = (int32_t)wide;
    store(row, config, &value, sizeof value);
    return FT_OK;
}

static ft_err parse_uint(int row, const char *text, size_t len, ft_config *config) {
    if (!is_integer(text)) return refuse(row, text, len, "is not an integer");
    errno = 0;
    uint64_t value = strtoull(text, NULL, 10); /* which would wrap a negative number round */
    if (errno || (*text == '-' && value != 0)) return refuse(row, text, len, "is out of range");
    store(row, config, &value, sizeof value);
    return FT_OK;
}

static ft_err parse_real(int row, const char *text, size_t len, ft_config *config) {
    const ft_option *option = &ft_options[row];
    double value = FT_CONFIG_AUTO;
    if (option->type == FT_OPTION_REAL || strcmp(text, "auto") != 0) {
        if (is_special(text)) return refuse(row, text, len, "is not a finite number");
        if (!is_real(text)) return refuse(row, text, len, "is not a number");
        errno = 0;
        value = strtod(text, NULL);
        /* no range admits an infinity; ERANGE also marks a subnormal number, which is as good as any */
        if ((errno == ERANGE && value == 0) || !in_range(&option->range, value))
            return refuse(row, text, len, "is out of range");
    }
    store(row, config, &value, sizeof value);
    return FT_OK;
}

static const struct {
    const char *name;
    int64_t bytes;
} units[] = {{"GiB", 1 << 30}, {"GB", 1000000000}, {"MiB", 1 << 20}, {"MB", 1000000}, {"kB", 1000}, {"B", 1}};
enum { N_UNITS = sizeof units / sizeof *units };

static ft_err parse_bytes(int row, const char *text, size_t len, ft_config *config) {
    int64_t bytes = 0;
    size_t digits = strspn(text, "0123456789.");
    char number[32];
    const char *unit = text + digits + strspn(text + digits, " ");
    if (digits == 0 || digits >= sizeof number) return refuse(row, text, len, "is not a size");
    memcpy(number, text, digits);
    number[digits] = '\0';
    if (!is_real(number)) return refuse(row, text, len, "is not a size");
    double value = strtod(number, NULL);
    int i = 0;
    while (i < N_UNITS && strcmp(unit, units[i].name) != 0) i++;
    if (i == N_UNITS && (*unit || value != 0)) return refuse(row, text, len, "has no unit");
    if (i < N_UNITS) value *= (double)units[i].bytes;
    if (value > 0x1p50) return refuse(row, text, len, "is out of range");
    bytes = (int64_t)value;
    store(row, config, &bytes, sizeof bytes);
    return FT_OK;
}

/* In the largest unit that leaves no rest. */
static void bytes_text(int64_t bytes, char text[FT_OPTION_TEXT_BYTES]) {
    int i = 0;
    while (bytes % units[i].bytes != 0) i++;
    if (bytes == 0)
        snprintf(text, FT_OPTION_TEXT_BYTES, "0");
    else
        snprintf(text, FT_OPTION_TEXT_BYTES, "%lld%s", (long long)(bytes / units[i].bytes), units[i].name);
}

static ft_err parse_choice(int row, const char *text, size_t len, ft_config *config) {
    for (const ft_choice *c = ft_options[row].choices; c->name; ++c) {
        if (strcmp(text, c->name) != 0) continue;
        store(row, config, &c->value, sizeof c->value);
        return FT_OK;
    }
    return refuse(row, text, len, "is not a choice");
}

/* Is item[0..len) a pattern with a number behind its last '='? */
static ft_err check_entry(int row, const char *item, size_t len) {
    const char *equals = memrchr(item, '=', len);
    char number[32];
    size_t n = equals ? (size_t)(item + len - equals - 1) : 0;
    if (!equals || equals == item || n == 0 || n >= sizeof number)
        return refuse(row, item, len, "is not pattern=number");
    memcpy(number, equals + 1, n);
    number[n] = '\0';
    if (!is_real(number)) return refuse(row, item, len, "has no number");
    if (!in_range(&ft_options[row].range, strtod(number, NULL)))
        return refuse(row, item, len, "is out of range");
    return FT_OK;
}

/* Bytes of item i of a list between commas, from *item on; false: there is none. */
static bool find_item(const char *list, int32_t i, const char **item, size_t *len) {
    if (!*list) return false;
    for (; i > 0; i--) {
        list = strchr(list, ',');
        if (!list) return false;
        list++;
    }
    *item = list;
    *len = strcspn(list, ",");
    return true;
}

static ft_err parse_list(int row, const char *text, size_t len, ft_config *config) {
    const char *item;
    size_t n;
    ft_config_list list;
    FT_REQUIRE(len < sizeof list, CONFIG, "%s: %zu bytes are too long; expected at most %zu",
               ft_options[row].key, len, sizeof list - 1);
    memcpy(list, text, len);
    list[len] = '\0';
    for (size_t k = 0; k < len; k++)
        if ((unsigned char)text[k] < ' ') return refuse(row, text, len, "has a control character");
    for (int32_t i = 0; find_item(list, i, &item, &n); i++) {
        if (n == 0) return refuse(row, text, len, "has an empty item");
        if (n >= FT_CONFIG_NAME_BYTES) return refuse(row, item, n, "is too long");
        if (ft_options[row].type == FT_OPTION_MAP) FT_TRY(check_entry(row, item, n));
    }
    return parse_string(row, text, len, config);
}

bool ft_config_item(const ft_config_list list, int32_t i, char name[FT_CONFIG_NAME_BYTES], double *number) {
    const char *item;
    size_t len;
    if (!find_item(list, i, &item, &len)) return false;
    snprintf(name, FT_CONFIG_NAME_BYTES, "%.*s", (int)len, item);
    char *equals = number ? strrchr(name, '=') : NULL;
    if (!equals) return true;
    *equals = '\0';
    *number = strtod(equals + 1, NULL);
    return true;
}

ft_err ft_option_parse(int row, const char *text, size_t len, ft_config *config) {
    ft_option_type type = ft_options[row].type;
    if (type == FT_OPTION_PHASES)
        return len == 0
                   ? FT_OK
                   : refuse(row, text, len, "is not one value; set train.phases[0].epochs=... and so on");
    if (type == FT_OPTION_LIST || type == FT_OPTION_MAP) return parse_list(row, text, len, config);
    if (type == FT_OPTION_STRING || type == FT_OPTION_REQUIRED) return parse_string(row, text, len, config);

    char word[FT_OPTION_SHOWN_BYTES * 2]; /* what is longer, or holds a zero byte, is no value */
    if (len >= sizeof word || memchr(text, '\0', len)) return refuse(row, text, len, "is not a value");
    memcpy(word, text, len);
    word[len] = '\0';
    switch (type) {
    case FT_OPTION_BOOL:
        return parse_bool(row, word, len, config);
    case FT_OPTION_INT:
        return parse_int(row, word, len, config);
    case FT_OPTION_UINT:
        return parse_uint(row, word, len, config);
    case FT_OPTION_BYTES:
        return parse_bytes(row, word, len, config);
    case FT_OPTION_CHOICE:
        return parse_choice(row, word, len, config);
    default:
        return parse_real(row, word, len, config);
    }
}

void ft_config_split(const ft_config_list list, ft_config_items *items) {
    items->n = 0;
    snprintf(items->text, sizeof items->text, "%s", list);
    for (char *rest = *items->text ? items->text : NULL; rest; items->n++)
        items->at[items->n] = strsep(&rest, ",");
}

/* Digits enough to read x back. A point always precedes the exponent: YAML 1.1 readers take 1e-05 for text.
 */
static void real_text(double x, char text[FT_OPTION_TEXT_BYTES]) {
    for (int digits = 15; digits <= 17; ++digits) {
        snprintf(text, FT_OPTION_TEXT_BYTES, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    char *exponent = strchr(text, 'e');
    if (exponent && !strchr(text, '.')) {
        memmove(exponent + 2, exponent, strlen(exponent) + 1);
        memcpy(exponent, ".0", 2);
    }
}

/* NULL when value is none of the row's choices. */
static const char *choice_name(int row, int value) {
    for (const ft_choice *c = ft_options[row].choices; c->name; ++c)
        if (c->value == value) return c->name;
    return NULL;
}

void ft_option_text(int row, const ft_config *config, char text[FT_OPTION_TEXT_BYTES]) {
    const ft_option *option = &ft_options[row];
    bool truth;
    int32_t integer;
    uint64_t natural;
    int64_t bytes;
    double real;
    int chosen;
    text[0] = '\0';
    switch (option->type) {
    case FT_OPTION_SECTION:
        break;
    case FT_OPTION_BOOL:
        load(row, config, &truth, sizeof truth);
        snprintf(text, FT_OPTION_TEXT_BYTES, "%s", truth ? "true" : "false");
        break;
    case FT_OPTION_INT:
        load(row, config, &integer, sizeof integer);
        snprintf(text, FT_OPTION_TEXT_BYTES, "%lld", (long long)integer);
        break;
    case FT_OPTION_UINT:
        load(row, config, &natural, sizeof natural);
        snprintf(text, FT_OPTION_TEXT_BYTES, "%llu", (unsigned long long)natural);
        break;
    case FT_OPTION_REAL:
    case FT_OPTION_AUTO:
        load(row, config, &real, sizeof real);
        if (option->type == FT_OPTION_AUTO && real == FT_CONFIG_AUTO)
            snprintf(text, FT_OPTION_TEXT_BYTES, "auto");
        else
            real_text(real, text);
        break;
    case FT_OPTION_BYTES:
        load(row, config, &bytes, sizeof bytes);
        bytes_text(bytes, text);
        break;
    case FT_OPTION_CHOICE:
        load(row, config, &chosen, sizeof chosen);
        if (choice_name(row, chosen)) snprintf(text, FT_OPTION_TEXT_BYTES, "%s", choice_name(row, chosen));
        break;
    case FT_OPTION_PHASES:
        break;
    case FT_OPTION_STRING:
    case FT_OPTION_REQUIRED:
    case FT_OPTION_LIST:
    case FT_OPTION_MAP:
        snprintf(text, FT_OPTION_TEXT_BYTES, "%s", (const char *)config + option->at);
        break;
    }
}

void ft_config_defaults(ft_config *config) {
    memset(config, 0, sizeof *config);
    for (int row = 0; row < ft_options_count; ++row) {
        if (ft_options[row].type == FT_OPTION_SECTION) continue;
        ft_err e = ft_option_parse(row, ft_options[row].usual, strlen(ft_options[row].usual), config);
        assert(e == FT_OK && "a default that its own row refuses");
        (void)e;
    }
}

/* The option that the key path before '=' names, below section or at it (when nothing is left of the path).
 */
static ft_err find_row(int section, const char *path, int *out) {
    const char *end = strchr(path, '=');
    int row = section;
    for (const char *part = path; part < end;) {
        size_t len = strcspn(part, ".=");
        int child = ft_option_child(row, part, len);
        if (child < 0) return ft_option_unknown(row, part, len);
        row = child;
        part += len;
        if (*part == '.' && ++part == end) return ft_option_unknown(row, part, 0);
    }
    const ft_option *option = &ft_options[row];
    if (option->type == FT_OPTION_SECTION) {
        FT_REQUIRE(option->usual, CONFIG, "%s is a section; set one of its options, as %s=...", option->key,
                   ft_options[ft_option_next_child(row, row)].key);
        row = ft_option_child(row, option->usual, strlen(option->usual));
    }
    *out = row;
    return FT_OK;
}

/* "train.phases[0].optimizer.lr=0.1" */
static ft_err set_in_phase(ft_config *config, const char *assignment) {
    char *end;
    long i = strtol(assignment + strlen("train.phases["), &end, 10);
    bool there = i >= 0 && i < FT_CONFIG_PHASES && *config->train.phases[i];
    FT_REQUIRE(strncmp(end, "].", 2) == 0, CONFIG, "'%.64s': write train.phases[0].key=value", assignment);
    FT_REQUIRE(there, CONFIG, "'%.64s': there is no phase %ld; the first is train.phases[0]", assignment, i);
    const char *name = end + 2;
    size_t len = strcspn(name, ".=");
    int row = ft_phase_child(name, len);
    if (row < 0) return ft_phase_unknown(name, len);
    name += len;
    FT_TRY(find_row(row, name + (*name == '.'), &row));
    ft_config values;
    bool given[FT_OPTIONS_MAX];
    ft_phase_get(config, (int32_t)i, &values, given);
    const char *value = strchr(assignment, '=') + 1;
    FT_TRY(ft_option_parse(row, value, strlen(value), &values));
    given[row] = true;
    return ft_phase_put(config, (int32_t)i, &values, given);
}

ft_err ft_config_set(ft_config *config, const char *assignment) {
    const char *equals = strchr(assignment, '=');
    char shown[FT_OPTION_SHOWN_BYTES];
    FT_REQUIRE(equals && equals != assignment, CONFIG,
               "'%s' is not an assignment; write key=value, as train.batch=64",
               ft_option_shown(assignment, strlen(assignment), shown));
    if (strncmp(assignment, "train.phases[", 13) == 0) return set_in_phase(config, assignment);
    int row;
    FT_TRY(find_row(FT_OPTION_ROOT, assignment, &row));
    return ft_option_parse(row, equals + 1, strlen(equals + 1), config);
}

static ft_err check_split(const ft_config *config) {
    double sum = config->data.split.train + config->data.split.val + config->data.split.test;
    FT_REQUIRE(
        fabs(sum - 1) <= 1e-6, CONFIG,
        "data.split: train %g + val %g + test %g is %.9g, but the fractions must sum to 1; set all three",
        config->data.split.train, config->data.split.val, config->data.split.test, sum);
    FT_REQUIRE((config->data.split.by == FT_CONFIG_SPLIT_GROUP) == (*config->data.split.group != 0), CONFIG,
               "data.split: by: group and group: COLUMN belong together");
    FT_REQUIRE((config->data.split.by == FT_CONFIG_SPLIT_LIST) == (*config->data.split.list != 0), CONFIG,
               "data.split: by: list and list: FILE belong together");
    int32_t folds = config->data.split.folds, fold = config->data.split.fold;
    FT_REQUIRE(folds != 1, CONFIG,
               "data.split.folds: one fold leaves nothing to train on; 0 stands for none");
    FT_REQUIRE(folds == 0 || config->data.split.by != FT_CONFIG_SPLIT_LIST, CONFIG,
               "data.split.folds: a list says itself what is validation");
    FT_REQUIRE(fold < (folds ? folds : 1), CONFIG,
               "data.split.fold is %d; of data.split.folds: %d the first is 0", fold, folds);
    return FT_OK;
}

static ft_err check_data(const ft_config *config) {
    FT_TRY(check_split(config));
    FT_REQUIRE(
        config->data.augment.pad == 0 || config->data.augment.crop == FT_CONFIG_CROP_RANDOM, CONFIG,
        "data.augment.pad: %d pixels of padding serve a random crop only; set data.augment.crop to random",
        (int)config->data.augment.pad);
    return FT_OK;
}

static ft_err check_model(const ft_config *config) {
    FT_REQUIRE(!*config->model.freeze.up_to || config->model.freeze.layers == 0, CONFIG,
               "model.freeze: up_to and layers both say where the frozen part ends; set one of them");
    FT_REQUIRE(*config->model.weights.file ||
                   (config->model.weights.include_top && !*config->model.weights.allow_missing),
               CONFIG, "model.weights: include_top and allow_missing are about model.weights.file; set that");
    return FT_OK;
}

static ft_err check_train(const ft_config *config) {
    bool validates = config->data.split.val > 0 || config->data.split.folds > 0 ||
                     config->data.split.by == FT_CONFIG_SPLIT_LIST;
    FT_REQUIRE(validates || config->train.early_stop.monitor == FT_CONFIG_MONITOR_NONE, CONFIG,
               "train.early_stop.monitor watches the validation split, but data.split.val is 0");
    FT_REQUIRE(validates || config->train.schedule.name != FT_CONFIG_SCHEDULE_PLATEAU, CONFIG,
               "train.schedule.name: plateau watches the validation split, but data.split.val is 0");
    FT_REQUIRE(config->train.schedule.warmup_epochs < config->train.epochs, CONFIG,
               "train.schedule.warmup_epochs: %g epochs of warm-up leave nothing of train.epochs (%d)",
               config->train.schedule.warmup_epochs, (int)config->train.epochs);
    FT_REQUIRE(!config->train.schedule.staircase ||
                   config->train.schedule.name == FT_CONFIG_SCHEDULE_EXPONENTIAL,
               CONFIG, "train.schedule.staircase applies to train.schedule.name: exponential only");
    FT_REQUIRE(!config->train.optimizer.nesterov ||
                   (config->train.optimizer.name == FT_CONFIG_OPTIMIZER_SGD &&
                    config->train.optimizer.momentum > 0),
               CONFIG, "train.optimizer.nesterov needs train.optimizer.name: sgd and a momentum above 0");
    ft_config resolved = *config;
    ft_config_resolve(&resolved);
    FT_REQUIRE(
        config->train.schedule.final_lr <= resolved.train.optimizer.lr, CONFIG,
        "train.schedule.final_lr: %g is above the learning rate it is to end at, train.optimizer.lr (%g)",
        config->train.schedule.final_lr, resolved.train.optimizer.lr);
    return FT_OK;
}

ft_err ft_config_check(const ft_config *config) {
    for (int row = 0; row < ft_options_count; ++row)
        if (ft_options[row].type == FT_OPTION_REQUIRED)
            FT_REQUIRE(((const char *)config)[ft_options[row].at] != '\0', CONFIG,
                       "%s is required and not set; put it in the file or give --set %s=...",
                       ft_options[row].key, ft_options[row].key);
    for (int32_t i = 0; i < ft_config_n_phases(config); i++) {
        ft_config phase;
        FT_TRY(ft_config_phase(config, i, &phase));
        ft_err e = check_data(&phase);
        if (e == FT_OK) e = check_model(&phase);
        if (e == FT_OK) e = check_train(&phase);
        if (e != FT_OK) return *config->train.phases[0] ? ft_err_prefix(e, "train.phases[%d]", (int)i) : e;
    }
    return FT_OK;
}

const char *ft_config_choice(const ft_config *config, const char *key) {
    int row = 0, chosen;
    while (row < ft_options_count && strcmp(ft_options[row].key, key) != 0) ++row;
    if (row == ft_options_count || ft_options[row].type != FT_OPTION_CHOICE) return NULL;
    load(row, config, &chosen, sizeof chosen);
    return choice_name(row, chosen);
}

void ft_config_resolve(ft_config *config) {
    const ft_optimizer *chosen = ft_optimizer_find(ft_config_choice(config, "train.optimizer.name"));
    assert(chosen && "an optimiser of the option table that optim/ lacks");
    const ft_hyper *own = &chosen->defaults;
    if (config->train.optimizer.lr == FT_CONFIG_AUTO) config->train.optimizer.lr = own->lr;
    if (config->train.optimizer.epsilon == FT_CONFIG_AUTO) config->train.optimizer.epsilon = own->epsilon;
    if (config->train.optimizer.weight_decay == FT_CONFIG_AUTO)
        config->train.optimizer.weight_decay = own->weight_decay;
    if (!*config->train.phases[0]) return;
    config->train.epochs = 0;
    for (int32_t i = 0; i < ft_config_n_phases(config); i++) {
        ft_config phase;
        if (ft_config_phase(config, i, &phase) == FT_OK) config->train.epochs += phase.train.epochs;
    }
}
