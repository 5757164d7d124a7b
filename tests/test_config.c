/* The configuration: what is accepted, every kind of mistake with its exact place and advice, overrides and
 * rules. */
#include "config_testing.h"
#include "data/resize.h"
#include "optim/optim.h"
#include "optim/schedule.h"

static int row_of(const char *key) {
    for (int row = 0; row < ft_options_count; ++row)
        if (strcmp(ft_options[row].key, key) == 0) return row;
    ck_abort_msg("no option %s", key);
    return -1;
}

static const char *text_of(const ft_config *config, const char *key) {
    static char text[FT_OPTION_TEXT_BYTES];
    ft_option_text(row_of(key), config, text);
    return text;
}

START_TEST(table_is_sound) {
    ft_config config;
    bool sections_began = false;
    for (int row = 0; row < ft_options_count; ++row) {
        const ft_option *option = &ft_options[row];
        for (int other = 0; other < row; ++other) ck_assert_str_ne(option->key, ft_options[other].key);
        /* inside a section that precedes it, contiguous with it */
        const char *dot = strrchr(option->key, '.');
        if (dot) {
            int parent = row - 1;
            size_t len = (size_t)(dot - option->key);
            while (parent >= 0 && !(strncmp(ft_options[parent].key, option->key, len) == 0 &&
                                    ft_options[parent].key[len] == '\0')) {
                ck_assert_msg(strncmp(ft_options[parent].key, option->key, len + 1) == 0, "%s strays",
                              option->key);
                --parent;
            }
            ck_assert_msg(parent >= 0 && ft_options[parent].type == FT_OPTION_SECTION, "%s", option->key);
            if (option->type != FT_OPTION_SECTION && ft_options[row - 1].type != FT_OPTION_SECTION)
                ck_assert_msg(strrchr(ft_options[row - 1].key, '.') - ft_options[row - 1].key ==
                                  dot - option->key,
                              "%s follows a section inside its section", option->key);
        } else {
            sections_began |= option->type == FT_OPTION_SECTION;
            ck_assert_msg(!sections_began || option->type == FT_OPTION_SECTION, "%s", option->key);
        }
        ck_assert_uint_gt(strlen(option->doc), 0);
        ck_assert_ptr_null(strpbrk(option->doc, "|\n"));
        if (option->type == FT_OPTION_SECTION) {
            ck_assert_int_ge(ft_option_next_child(row, row), 0);
            if (option->usual)
                ck_assert_int_ge(ft_option_child(row, option->usual, strlen(option->usual)), 0);
        } else {
            ck_assert_int_eq(ft_option_parse(row, option->usual, strlen(option->usual), &config), FT_OK);
        }
    }
}
END_TEST

START_TEST(defaults_are_what_the_documentation_says) {
    ft_config c;
    memset(&c, 0xA5, sizeof c);
    ft_config_defaults(&c);
    ck_assert_uint_eq(c.seed, 42);
    ck_assert_int_eq(c.kernels, FT_CONFIG_KERNELS_AUTO);
    ck_assert_str_eq(c.output, "");
    ck_assert(c.data.split.train == 0.8 && c.data.split.val == 0.1 && c.data.split.test == 0.1);
    ck_assert_int_eq(c.data.workers, 1);
    ck_assert_int_eq(c.data.cache_mb, 512);
    ck_assert_str_eq(c.model.arch, "inception_v3");
    ck_assert(c.model.bn.momentum == 0.9 && c.model.bn.epsilon == 1e-3 && c.model.aux_weight == 0.4);
    ck_assert_int_eq(c.train.batch, 32);
    ck_assert_int_eq(c.train.epochs, 30);
    ck_assert_int_eq(c.train.optimizer.name, FT_CONFIG_OPTIMIZER_ADAM);
    ck_assert(c.train.optimizer.lr == FT_CONFIG_AUTO);
    ck_assert_int_eq(c.train.schedule.monitor, FT_CONFIG_MONITOR_VAL_LOSS);
    ck_assert_int_eq(c.train.checkpoint.monitor, FT_CONFIG_MONITOR_VAL_ACCURACY);
    assert_round_trip(&c);

    ft_config empty;
    static const char *const nothing[] = {"",   "\n\n",         "# only a comment\n", "---\n",
                                          "{}", "--- ~\n...\n", "\xEF\xBB\xBF"};
    for (int i = 0; i < N_OF(nothing); ++i) {
        memset(&empty, 0x5A, sizeof empty);
        ck_assert_msg(parse(nothing[i], &empty) == FT_OK, "%d: %s", i, ft_err_message());
        ck_assert_msg(memcmp(&empty, &c, sizeof c) == 0, "%d", i);
    }
}
END_TEST

static const struct {
    const char *text, *key, *value;
} accepted[] = {
    {"train: {optimizer: {lr: 1e-3}}", "train.optimizer.lr", "0.001"},
    {"train: {optimizer: {lr: 1.}}", "train.optimizer.lr", "1"},
    {"train: {optimizer: {lr: .5}}", "train.optimizer.lr", "0.5"},
    {"train: {optimizer: {lr: +42}}", "train.optimizer.lr", "42"},
    {"train: {optimizer: {lr: 4E-5}}", "train.optimizer.lr", "4.0e-05"},
    {"train: {optimizer: {lr: 2.5e+3}}", "train.optimizer.lr", "2500"},
    {"train: {optimizer: {lr: 4.9406564584124654e-324}}", "train.optimizer.lr", "4.94065645841247e-324"},
    {"train: {optimizer: {lr: auto}}", "train.optimizer.lr", "auto"},
    {"train:\n  optimizer: adamw\n", "train.optimizer.name", "adamw"},
    {"train:\n  optimizer: 'sgd'\n", "train.optimizer.name", "sgd"},
    {"train: {schedule: cosine}", "train.schedule.name", "cosine"},
    {"train: {early_stop: val_f1}", "train.early_stop.monitor", "val_f1"},
    {"model: {freeze: mixed8}", "model.freeze.up_to", "mixed8"},
    {"train:\n  # batch: 3\nmodel:\n  arch: lenet", "model.arch", "lenet"},
    {"train: {early_stop: ~}", "train.early_stop.monitor", "none"},
    {"data: {augment: {flip: True}}", "data.augment.flip", "true"},
    {"data: {image: {channels: 3}}", "data.image.channels", "3"},
    {"seed: 18446744073709551615", "seed", "18446744073709551615"},
    {"seed: 007", "seed", "7"},
    {"kernels: direct", "kernels", "direct"},
    {"memory: 6GiB", "memory", "6GiB"},
    {"memory: 0.5 GiB", "memory", "512MiB"},
    {"memory: 1500MB", "memory", "1500MB"},
    {"memory: 2000MB", "memory", "2GB"},
    {"memory: 70000kB", "memory", "70MB"},
    {"memory: 1234567B", "memory", "1234567B"},
    {"memory: 0", "memory", "0"},
    {"output: 2024", "output", "2024"},
    {"output: true", "output", "true"},
    {"output: \"\"", "output", ""},
    {"output: |\n  a\n  b\n", "output", "a\nb\n"},
    {"\"seed\": 3", "seed", "3"},
    {"\xEF\xBB\xBFseed: 3\r\n", "seed", "3"},
    {"%YAML 1.2\n---\nseed: 3\n...\n", "seed", "3"},
};

START_TEST(accepted_forms) {
    ft_config c;
    ck_assert_msg(parse(accepted[_i].text, &c) == FT_OK, "%s: %s", accepted[_i].text, ft_err_message());
    ck_assert_str_eq(text_of(&c, accepted[_i].key), accepted[_i].value);
    assert_round_trip(&c);
}
END_TEST

/* message: the whole of it, after "t.yaml:" */
static const struct {
    const char *text, *message;
} mistakes[] = {
    /* keys */
    {"seed: 1\nbacth: 3\n", "2:1: unknown key 'bacth' at the top level; valid keys there: seed, threads, "
                            "kernels, memory, output, data, model, train"},
    {"train:\n  bacth: 3\n", "2:3: unknown key 'bacth' in train; did you mean train.batch?"},
    {"train:\n  optimizer: {name: sgd, momentun: 0.9}\n",
     "2:26: unknown key 'momentun' in train.optimizer; did you mean train.optimizer.momentum?"},
    {"lr: 0.1", "1:1: unknown key 'lr' at the top level; did you mean train.optimizer.lr?"},
    {"train: {label_smoothing: 0.1}",
     "1:9: unknown key 'label_smoothing' in train; did you mean train.loss.label_smoothing?"},
    {"train: {patience: 1}", "1:9: unknown key 'patience' in train; did you mean train.schedule.patience?"},
    {"trian: {batch: 3}", "1:1: unknown key 'trian' at the top level; did you mean train?"},
    {"train.batch: 3",
     "1:1: unknown key 'train.batch' at the top level; dots join keys in --set only, in a file nest "
     "one mapping in another"},
    {"model: {bn: {rubbish: 1}}",
     "1:14: unknown key 'rubbish' in model.bn; valid keys there: momentum, epsilon, scale, unbiased"},
    {"model: {\"a\\tb\\u0080\": 1}",
     "1:9: unknown key 'a?b?' in model; valid keys there: arch, width, aux_head, "
     "aux_weight, count_padding, weights, head, bn, freeze"},
    {"\xC3\xA9: {x: 1}", "1:1: unknown key '\xC3\xA9' at the top level; valid keys there: seed, threads, "
                         "kernels, memory, output, "
                         "data, model, train"},
    {"kernels: winograd", "1:10: kernels: 'winograd' is not a choice; expected one of auto, direct"},
    {"seed: 1\noutput: a\nseed: 2\n", "3:1: duplicate key seed, first set in line 1; keep one of the two"},
    {"train: {batch: 2}\nmodel: {}\ntrain: {epochs: 2}\n",
     "3:1: duplicate key train, first set in line 1; keep one of the two"},
    {"train: {optimizer: sgd, optimizer: {lr: 1}}",
     "1:25: duplicate key train.optimizer, first set in line 1; keep one of the two"},
    {"? [a]\n: 1\n", "1:3: a key must be a name, not a sequence"},
    {"{{a: b}: 1}", "1:2: a key must be a name, not a mapping"},
    {"train: {<<: {batch: 1}}", "1:9: merge keys (<<) are not supported; write the keys out"},
    {"\xEF\xBB\xBFlr: 1", "1:1: unknown key 'lr' at the top level; did you mean train.optimizer.lr?"},
    /* structure */
    {"train:\n  batch: [32]\n",
     "2:10: train.batch: a sequence where one value belongs; expected an integer >= 1"},
    {"train:\n  epochs: {n: 3}\n",
     "2:11: train.epochs: a mapping where one value belongs; expected an integer >= 1"},
    {"train: 3", "1:8: train: a single value where a mapping belongs; write its options, as {batch: ...}"},
    {"data:\n  split:\n  - 0.8\n",
     "3:3: data.split: a sequence where a mapping belongs; write its options, as {train: ...}"},
    {"train: {optimizer: [sgd]}",
     "1:20: train.optimizer: a sequence where a mapping belongs; write its options, as {name: ...}"},
    {"- seed: 1", "1:1: a configuration is a mapping; write key: value lines"},
    {"seed", "1:1: a configuration is a mapping; write key: value lines"},
    {"seed: 1\n---\nseed: 2\n", "2:1: a second document; a configuration is one document"},
    {"seed: &a 1\n", "1:7: anchors (&name) are not supported; remove it"},
    {"train: &t {batch: 1}\n", "1:8: anchors (&name) are not supported; remove it"},
    {"seed: *a\n", "1:7: aliases (*name) are not supported; write the value out"},
    {"*a : 1\n", "1:1: aliases (*name) are not supported; write the value out"},
    {"seed: !!int 1\n", "1:7: tags (!name) are not supported; remove it"},
    {"seed: ! 1\n", "1:7: tags (!name) are not supported; remove it"},
    {"data: !x [1]\n", "1:7: tags (!name) are not supported; remove it"},
    /* syntax */
    {"{seed: 1\n", "2:1: not YAML: while parsing a flow mapping, did not find expected ',' or '}'"},
    {"output: a\n  batch: 3\n", "2:8: not YAML: mapping values are not allowed in this context"},
    {"seed: \"1\n", "2:1: not YAML: while scanning a quoted scalar, found unexpected end of stream"},
    {"train:\n\tbatch: 1\n",
     "2:1: not YAML: while scanning for the next token, found character that cannot start any token"},
    {"seed: 1\nab\x01", "2:3: not YAML: control characters are not allowed"},
    {"seed: 1\nab\xff", "2:3: not YAML: invalid leading UTF-8 octet"},
    /* values */
    {"seed:\n", "1:6: seed has no value; expected an integer >= 0 and < 2^64, or remove the key"},
    {"data: {path: ~}", "1:14: data.path has no value; expected text, not empty (\"\" is the empty text)"},
    {"train: {early_stop: {monitor: null}}",
     "1:31: train.early_stop.monitor has no value; expected one of none, "
     "val_loss, val_accuracy, val_f1, val_recall, val_auc, or remove the key"},
    {"train: {batch: abc}", "1:16: train.batch: 'abc' is not an integer; expected an integer >= 1"},
    {"train: {batch: 32.0}", "1:16: train.batch: '32.0' is not an integer; expected an integer >= 1"},
    {"train: {batch: 1e3}", "1:16: train.batch: '1e3' is not an integer; expected an integer >= 1"},
    {"train: {batch: 0x10}", "1:16: train.batch: '0x10' is not an integer; expected an integer >= 1"},
    {"train: {batch: 1_000}", "1:16: train.batch: '1_000' is not an integer; expected an integer >= 1"},
    {"train: {batch: \"32\"}",
     "1:16: train.batch: \"32\" is text because of its quotes; expected an integer >= 1"},
    {"train: {batch: 0}", "1:16: train.batch: '0' is out of range; expected an integer >= 1"},
    {"train: {batch: 2147483648}",
     "1:16: train.batch: '2147483648' is out of range; expected an integer >= 1"},
    {"train: {batch: 99999999999999999999}",
     "1:16: train.batch: '99999999999999999999' is out of range; expected an integer >= 1"},
    {"seed: -1", "1:7: seed: '-1' is out of range; expected an integer >= 0 and < 2^64"},
    {"seed: 18446744073709551616",
     "1:7: seed: '18446744073709551616' is out of range; expected an integer >= 0 and < 2^64"},
    {"data: {augment: {flip: yes}}",
     "1:24: data.augment.flip: 'yes' is not a truth value; expected true or false"},
    {"data: {augment: {flip: 1}}",
     "1:24: data.augment.flip: '1' is not a truth value; expected true or false"},
    {"train: {ema: .nan}", "1:14: train.ema: '.nan' is not a finite number; expected a number >= 0 and < 1"},
    {"train: {clip: {norm: -.inf}}",
     "1:22: train.clip.norm: '-.inf' is not a finite number; expected a number >= 0"},
    {"train: {clip: {norm: 1e999}}",
     "1:22: train.clip.norm: '1e999' is out of range; expected a number >= 0"},
    {"train: {clip: {norm: 1e-999}}",
     "1:22: train.clip.norm: '1e-999' is out of range; expected a number >= 0"},
    {"train: {ema: 1}", "1:14: train.ema: '1' is out of range; expected a number >= 0 and < 1"},
    {"data: {center_crop: 0}", "1:21: data.center_crop: '0' is out of range; expected a number > 0 and <= 1"},
    {"train: {ema: 0,5: 1}",
     "1:16: unknown key '5' in train; valid keys there: batch, accumulate, epochs, eval_batch, eval_views, "
     "non_finite, "
     "ema, lr_multipliers, phases, optimizer, clip, schedule, loss, early_stop, checkpoint, feature_cache"},
    {"train: {ema: 0x1p-3}", "1:14: train.ema: '0x1p-3' is not a number; expected a number >= 0 and < 1"},
    {"train: {ema: e5}", "1:14: train.ema: 'e5' is not a number; expected a number >= 0 and < 1"},
    {"train: {ema: 1e}", "1:14: train.ema: '1e' is not a number; expected a number >= 0 and < 1"},
    {"train: {ema: .}", "1:14: train.ema: '.' is not a number; expected a number >= 0 and < 1"},
    {"train: {ema: auto}", "1:14: train.ema: 'auto' is not a number; expected a number >= 0 and < 1"},
    {"train: {ema: 0.5 0.6}", "1:14: train.ema: '0.5 0.6' is not a number; expected a number >= 0 and < 1"},
    {"train: {optimizer: {lr: -1}}",
     "1:25: train.optimizer.lr: '-1' is out of range; expected a number > 0, or auto"},
    {"train: {optimizer: adm}",
     "1:20: train.optimizer.name: 'adm' is not a choice; expected one of sgd, rmsprop, "
     "rmsprop_tf, adam, adamw"},
    {"data: {image: {channels: 4}}",
     "1:26: data.image.channels: '4' is not a choice; expected one of 0, 1, 3"},
    {"output: \"a\\0b\"", "1:9: output: 'a?b' has a zero byte; expected text"},
    {"seed: \"1\\02\"",
     "1:7: seed: \"1?2\" is text because of its quotes; expected an integer >= 0 and < 2^64"},
    {"train: {loss: \"soft\\0max\"}", "1:15: train.loss.name: 'soft?max' is not a value; expected softmax"},
};

START_TEST(mistakes_are_placed_and_explained) {
    ft_config c, before;
    memset(&c, 0xC3, sizeof c);
    memcpy(&before, &c, sizeof c);
    char expected[1024];
    snprintf(expected, sizeof expected, "t.yaml:%s", mistakes[_i].message);
    ck_assert_int_eq(parse(mistakes[_i].text, &c), FT_E_CONFIG);
    ck_assert_str_eq(ft_err_message(), expected);
    ck_assert_msg(memcmp(&c, &before, sizeof c) == 0, "touched by a failure");
}
END_TEST

static const struct {
    const char *assignment, *key, *value, *message;
} overrides[] = {
    {"train.batch=64", "train.batch", "64", NULL},
    {"train.optimizer=adamw", "train.optimizer.name", "adamw", NULL},
    {"data.path=a=b: {c} ~", "data.path", "a=b: {c} ~", NULL},
    {"data.path=null", "data.path", "null", NULL},
    {"model.freeze.up_to=", "model.freeze.up_to", "", NULL},
    {"train.optimizer.lr=auto", "train.optimizer.lr", "auto", NULL},
    {"train.batch", NULL, NULL, "'train.batch' is not an assignment; write key=value, as train.batch=64"},
    {"=3", NULL, NULL, "'=3' is not an assignment; write key=value, as train.batch=64"},
    {"", NULL, NULL, "'' is not an assignment; write key=value, as train.batch=64"},
    {"train=3", NULL, NULL, "train is a section; set one of its options, as train.batch=..."},
    {"train.optimzer.lr=1", NULL, NULL, "unknown key 'optimzer' in train; did you mean train.optimizer?"},
    {"seed.x=1", NULL, NULL, "seed is not a section: it has no 'x'"},
    {"seed.=1", NULL, NULL, "seed is not a section: it has no ''"},
    {"model.=1", NULL, NULL,
     "unknown key '' in model; valid keys there: arch, width, aux_head, aux_weight, count_padding, weights, "
     "head, bn, freeze"},
    {".seed=1", NULL, NULL,
     "unknown key '' at the top level; valid keys there: seed, threads, kernels, memory, output, data, "
     "model, train"},
    {"Seed=1", NULL, NULL, "unknown key 'Seed' at the top level; did you mean seed?"},
    {"train.batch=", NULL, NULL, "train.batch: '' is not an integer; expected an integer >= 1"},
    {"train.batch= 64", NULL, NULL, "train.batch: ' 64' is not an integer; expected an integer >= 1"},
    {"data.path=a\xffz", NULL, NULL, "data.path: 'a?z' is not UTF-8; expected text, not empty"},
    {"data.path=\xed\xa0\x80", NULL, NULL, "data.path: '?\?\?' is not UTF-8; expected text, not empty"},
    {"data.path=\xc0\xaf", NULL, NULL, "data.path: '?\?' is not UTF-8; expected text, not empty"},
};

START_TEST(override) {
    ft_config c, before;
    ft_config_defaults(&c);
    memcpy(&before, &c, sizeof c);
    ft_err e = ft_config_set(&c, overrides[_i].assignment);
    if (overrides[_i].message) {
        ck_assert_int_eq(e, FT_E_CONFIG);
        ck_assert_str_eq(ft_err_message(), overrides[_i].message);
        ck_assert(memcmp(&c, &before, sizeof c) == 0);
    } else {
        ck_assert_msg(e == FT_OK, "%s", ft_err_message());
        ck_assert_str_eq(text_of(&c, overrides[_i].key), overrides[_i].value);
        assert_round_trip(&c);
    }
}
END_TEST

START_TEST(long_text) {
    static char assignment[FT_CONFIG_PATH_BYTES + 64] = "data.path=";
    ft_config c;
    ft_config_defaults(&c);
    size_t prefix = strlen(assignment);
    memset(assignment + prefix, 'x', FT_CONFIG_PATH_BYTES - 1);
    ck_assert_int_eq(ft_config_set(&c, assignment), FT_OK);
    ck_assert_uint_eq(strlen(c.data.path), FT_CONFIG_PATH_BYTES - 1);
    assert_round_trip(&c);
    assignment[prefix + FT_CONFIG_PATH_BYTES - 1] = 'x';
    ck_assert_int_eq(ft_config_set(&c, assignment), FT_E_CONFIG);
    ck_assert_str_eq(ft_err_message(), "data.path: 4096 bytes are too long; expected at most 4095");

    char spaced[] =
        "output=a path of many words that a writer of YAML would love to break, since it is longer than "
        "the eighty columns of old",
         *text;
    size_t len;
    ck_assert_int_eq(ft_config_set(&c, spaced), FT_OK);
    ck_assert_int_eq(ft_config_to_text(&c, &text, &len), FT_OK);
    ck_assert_ptr_nonnull(strstr(text, strchr(spaced, '=') + 1));
    free(text);

    char cut[FT_OPTION_SHOWN_BYTES];
    char long_key[200] = {0};
    for (size_t i = 0; i < 198; i += 2) memcpy(long_key + i, "\xC3\xA9", 2);
    ft_option_shown(long_key, 198, cut); /* never half a character */
    size_t at = 0;
    while (at < sizeof cut && cut[at] != '.')
        at += ft_option_utf8_bytes(cut + at, 2) == 2 ? 2 : FT_OPTION_SHOWN_BYTES;
    ck_assert_str_eq(cut + at, "...");
    /* a shorter text replaces a longer one without a trace of it */
    ft_config d;
    ft_config_defaults(&d);
    ck_assert_int_eq(ft_config_set(&c, "output="), FT_OK);
    ck_assert_int_eq(ft_config_set(&c, "data.path=y"), FT_OK);
    ck_assert_int_eq(ft_config_set(&d, "data.path=y"), FT_OK);
    ck_assert(memcmp(&c, &d, sizeof c) == 0);
}
END_TEST

/* overrides of the defaults with data.path set, separated by spaces; NULL: the check passes */
static const struct {
    const char *overrides, *message;
} rules[] = {
    {"", NULL},
    {"data.path=", "data.path is required and not set; put it in the file or give --set data.path=..."},
    {"data.split.train=0.9",
     "data.split: train 0.9 + val 0.1 + test 0.1 is 1.1, but the fractions must sum to 1; set "
     "all three"},
    {"data.split.train=0.7 data.split.val=0.2", NULL},
    {"data.split.train=1 data.split.val=0 data.split.test=0", NULL},
    {"data.split.train=1 data.split.val=0 data.split.test=0 train.early_stop=val_loss",
     "train.early_stop.monitor watches the validation split, but data.split.val is 0"},
    {"data.split.train=1 data.split.val=0 data.split.test=0 train.schedule=plateau",
     "train.schedule.name: plateau watches the validation split, but data.split.val is 0"},
    {"train.schedule=plateau train.early_stop=val_auc", NULL},
    {"data.augment.pad=4",
     "data.augment.pad: 4 pixels of padding serve a random crop only; set data.augment.crop to random"},
    {"data.augment.pad=4 data.augment.crop=random", NULL},
    {"train.epochs=2 train.schedule.warmup_epochs=2",
     "train.schedule.warmup_epochs: 2 epochs of warm-up leave nothing of train.epochs (2)"},
    {"train.epochs=2 train.schedule.warmup_epochs=1.5", NULL},
    {"train.schedule.staircase=true",
     "train.schedule.staircase applies to train.schedule.name: exponential only"},
    {"train.schedule=exponential train.schedule.staircase=true", NULL},
    {"train.optimizer=sgd train.optimizer.nesterov=true",
     "train.optimizer.nesterov needs train.optimizer.name: sgd and a momentum above 0"},
    {"train.optimizer=rmsprop train.optimizer.momentum=0.9 train.optimizer.nesterov=true",
     "train.optimizer.nesterov needs train.optimizer.name: sgd and a momentum above 0"},
    {"train.optimizer=sgd train.optimizer.momentum=0.9 train.optimizer.nesterov=true", NULL},
    {"train.optimizer=adam train.schedule.final_lr=0.005",
     "train.schedule.final_lr: 0.005 is above the learning rate it is to end at, train.optimizer.lr (0.001)"},
    {"train.optimizer=sgd train.schedule.final_lr=0.005", NULL},
};

START_TEST(rules_across_options) {
    ft_config c, before;
    char text[256], *save = NULL;
    ft_config_defaults(&c);
    ck_assert_int_eq(ft_config_set(&c, "data.path=faces"), FT_OK);
    snprintf(text, sizeof text, "%s", rules[_i].overrides);
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        ck_assert_msg(ft_config_set(&c, word) == FT_OK, "%s", ft_err_message());
    memcpy(&before, &c, sizeof c);
    ft_err e = ft_config_check(&c);
    if (rules[_i].message) {
        ck_assert_int_eq(e, FT_E_CONFIG);
        ck_assert_str_eq(ft_err_message(), rules[_i].message);
    } else {
        ck_assert_msg(e == FT_OK, "%s", ft_err_message());
    }
}
END_TEST

START_TEST(auto_is_the_optimisers_own) {
    static const struct {
        const char *name;
        double lr, epsilon, weight_decay;
    } own[] = {{"sgd", 0.01, 0, 0},
               {"rmsprop", 0.001, 1e-7, 0},
               {"rmsprop_tf", 0.001, 1e-10, 0},
               {"adam", 0.001, 1e-7, 0},
               {"adamw", 0.001, 1e-7, 0.004}};
    for (int i = 0; i < N_OF(own); ++i) {
        ft_config c;
        char set[64];
        snprintf(set, sizeof set, "train.optimizer=%s", own[i].name);
        ft_config_defaults(&c);
        ck_assert_int_eq(ft_config_set(&c, set), FT_OK);
        ck_assert_str_eq(ft_config_choice(&c, "train.optimizer.name"), own[i].name);
        ft_config_resolve(&c);
        ck_assert(c.train.optimizer.lr == own[i].lr && c.train.optimizer.epsilon == own[i].epsilon);
        ck_assert(c.train.optimizer.weight_decay == own[i].weight_decay);
        assert_round_trip(&c);
        ft_config_defaults(&c);
        c.train.optimizer.lr = 3, c.train.optimizer.epsilon = 0.5, c.train.optimizer.weight_decay = 0;
        ft_config_resolve(&c);
        ck_assert(c.train.optimizer.lr == 3 && c.train.optimizer.epsilon == 0.5);
        ck_assert(c.train.optimizer.weight_decay == 0);
        ck_assert_ptr_null(ft_config_choice(&c, "train.batch"));
        ck_assert_ptr_null(ft_config_choice(&c, "train.optimizer"));
        ck_assert_ptr_null(ft_config_choice(&c, "train.nothing"));
    }
}
END_TEST

START_TEST(choices_are_names_their_modules_know) {
    const ft_choice *c;
    ft_schedule_kind kind;
    ft_resize how;
    for (c = ft_options[row_of("train.optimizer.name")].choices; c->name; ++c)
        ck_assert_ptr_nonnull(ft_optimizer_find(c->name));
    for (c = ft_options[row_of("train.schedule.name")].choices; c->name; ++c)
        ck_assert_int_eq(ft_schedule_kind_parse(c->name, &kind), FT_OK);
    for (c = ft_options[row_of("data.image.resize")].choices; c->name; ++c)
        ck_assert_int_eq(ft_resize_parse(c->name, &how), FT_OK);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, table_is_sound);
    tcase_add_test(tc, defaults_are_what_the_documentation_says);
    tcase_add_loop_test(tc, accepted_forms, 0, N_OF(accepted));
    tcase_add_loop_test(tc, mistakes_are_placed_and_explained, 0, N_OF(mistakes));
    tcase_add_loop_test(tc, override, 0, N_OF(overrides));
    tcase_add_test(tc, long_text);
    tcase_add_loop_test(tc, rules_across_options, 0, N_OF(rules));
    tcase_add_test(tc, choices_are_names_their_modules_know);
    tcase_add_test(tc, auto_is_the_optimisers_own);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
