/* The configuration as files: every option there and back, hostile, mutated and missing files, the pages
 * about it. */
#include "config_testing.h"
#include "tensor/rng.h"

#include <math.h>
#include <unistd.h>

/* Some value of the row other than its default. */
static void other_value(int row, ft_rng *rng, char text[FT_OPTION_TEXT_BYTES]) {
    static const char *const strings[] = {"a b: c # d",
                                          "\"quoted\" \\ 'single'",
                                          "42",
                                          "null",
                                          " lead and trail ",
                                          "line\nbreak\r\ttab \x01\x7f",
                                          "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80",
                                          "\xEF\xBB\xBF\xC2\x85\xE2\x80\xA8\xEF\xBF\xBE",
                                          "- x",
                                          "&a *b !c",
                                          "~"};
    const ft_option *option = &ft_options[row];
    const ft_choice *c = option->choices;
    double low = option->range.low, high = option->range.high, x;
    switch (option->type) {
    case FT_OPTION_BOOL:
        strcpy(text, strcmp(option->usual, "true") == 0 ? "false" : "true");
        break;
    case FT_OPTION_INT:
        high = high > INT32_MAX ? INT32_MAX : high;
        do sprintf(text, "%.0f", floor(low + ft_rng_uniform(rng) * (high - low)));
        while (strcmp(text, option->usual) == 0);
        break;
    case FT_OPTION_UINT:
        sprintf(text, "%llu", (unsigned long long)ft_rng_bits(rng) << 32 | ft_rng_bits(rng));
        break;
    case FT_OPTION_REAL:
    case FT_OPTION_AUTO:
        x = high > 1e30 ? ldexp(ft_rng_uniform(rng), (int)ft_rng_below(rng, 2000) - 1000)
                        : low + ft_rng_uniform(rng) * (high - low);
        sprintf(text, "%.17g", x);
        break;
    case FT_OPTION_BYTES: {
        static const char *const units[] = {"GiB", "MB", "kB", "B"};
        sprintf(text, "%u%s", 1 + ft_rng_below(rng, 5000), units[ft_rng_below(rng, 4)]);
        break;
    }
    case FT_OPTION_CHOICE:
        while (c[1].name && (strcmp(c->name, option->usual) == 0 || ft_rng_below(rng, 2))) ++c;
        strcpy(text, c->name);
        break;
    case FT_OPTION_LIST:
        strcpy(text, ft_rng_below(rng, 2) ? "mixed9*,&a *b !c" : "age>=12,a: b,#x,\xc3\xa9?");
        break;
    case FT_OPTION_MAP:
        strcpy(text, ft_rng_below(rng, 2) ? "mixed9*=0.1" : "a: b=1e-3,c=d=2,*=0");
        break;
    default:
        strcpy(text, strings[ft_rng_below(rng, N_OF(strings))]);
    }
}

START_TEST(every_option_there_and_back) {
    ft_rng rng = ft_rng_stream(1, 0);
    ft_config defaults, all, one;
    ft_config_defaults(&defaults);
    for (int round = 0; round < 50; ++round) {
        memcpy(&all, &defaults, sizeof all);
        for (int row = 0; row < ft_options_count; ++row) {
            char text[FT_OPTION_TEXT_BYTES], kept[FT_OPTION_TEXT_BYTES];
            if (ft_options[row].type == FT_OPTION_SECTION || ft_options[row].type == FT_OPTION_PHASES)
                continue;
            other_value(row, &rng, text);
            memcpy(&one, &defaults, sizeof one);
            ck_assert_msg(ft_option_parse(row, text, strlen(text), &one) == FT_OK, "%s", ft_err_message());
            ck_assert_int_eq(ft_option_parse(row, text, strlen(text), &all), FT_OK);
            bool single = ft_options[row].choices && !ft_options[row].choices[1].name;
            ck_assert_msg(single || memcmp(&one, &defaults, sizeof one) != 0, "%s did not change",
                          ft_options[row].key);
            if (round == 0) assert_round_trip(&one);
            ft_option_text(row, &one, kept);
            /* the text is the value: the same field again */
            ft_config again;
            memcpy(&again, &defaults, sizeof again);
            ck_assert_int_eq(ft_option_parse(row, kept, strlen(kept), &again), FT_OK);
            ck_assert_msg(memcmp(&one, &again, sizeof one) == 0, "%s: %s became %s", ft_options[row].key,
                          text, kept);
        }
        assert_round_trip(&all);
    }
}
END_TEST

/* Any option that a phase may set, with any value, in any phase. */
START_TEST(every_phase_there_and_back) {
    ft_rng rng = ft_rng_stream(2, 0);
    for (int round = 0; round < 50; ++round) {
        ft_config c, values, again;
        bool given[FT_OPTIONS_MAX] = {false}, back[FT_OPTIONS_MAX];
        ft_config_defaults(&c);
        int32_t n = 1 + (int32_t)ft_rng_below(&rng, FT_CONFIG_PHASES);
        for (int32_t i = 0; i < n; i++) {
            ft_config_defaults(&values);
            for (int row = 0; row < ft_options_count; ++row) {
                char text[FT_OPTION_TEXT_BYTES];
                bool optimizer = strncmp(ft_options[row].key, "train.optimizer.", 16) == 0;
                bool freeze = strncmp(ft_options[row].key, "model.freeze.", 13) == 0;
                bool epochs = strcmp(ft_options[row].key, "train.epochs") == 0;
                given[row] = epochs || freeze || (optimizer && ft_rng_below(&rng, 2));
                if (!given[row]) continue;
                other_value(row, &rng, text);
                if (!strchr(text, '\n'))
                    ck_assert_int_eq(ft_option_parse(row, text, strlen(text), &values), FT_OK);
            }
            ck_assert_msg(ft_phase_put(&c, i, &values, given) == FT_OK, "%s", ft_err_message());
            ft_phase_get(&c, i, &again, back);
            ck_assert_mem_eq(given, back, sizeof given);
            ck_assert_mem_eq(&values, &again, sizeof values);
        }
        ck_assert_int_eq(ft_config_n_phases(&c), n);
        assert_round_trip(&c);
    }
}
END_TEST

/* n copies of unit after head must be refused, with a place */
static void assert_refused(const char *head, const char *unit, size_t n) {
    size_t head_len = strlen(head), unit_len = strlen(unit), len = head_len + n * unit_len;
    char *text = malloc(len + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text, head, head_len);
    for (size_t i = 0; i < n; ++i) memcpy(text + head_len + i * unit_len, unit, unit_len);
    ft_config c;
    ck_assert_int_eq(ft_config_parse(text, len, "t.yaml", &c), FT_E_CONFIG);
    ck_assert_msg(strncmp(ft_err_message(), "t.yaml:", 7) == 0, "%s", ft_err_message());
    free(text);
}

START_TEST(hostile_files) {
    size_t most = FT_CONFIG_FILE_BYTES;
    assert_refused("", "[", most);
    assert_refused("", "{", most);
    assert_refused("train: ", "{", most - 7);
    assert_refused("train: ", "{train: ", most / 8 - 1);
    assert_refused("train:\n", "- ", most / 2 - 4);
    assert_refused("", "? ", most / 2);
    assert_refused("", "x", most);                     /* one long word */
    assert_refused("seed: ", "9", most - 6);           /* one long number */
    assert_refused("data: {path: \"", "x", most - 20); /* a quote that never ends */
    assert_refused("", "#\n", most / 2 + 1);           /* one byte over */
    assert_refused("seed: 1\n", "\n---\n", 3);
    ft_config c;
    ck_assert_int_eq(ft_config_parse("\0", 1, "t.yaml", &c), FT_E_CONFIG);
    ck_assert_int_eq(parse("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", &c), FT_E_CONFIG);
    ck_assert_int_eq(parse("data: &a {path: &b x, split: [*b, *b, *a]}\n", &c), FT_E_CONFIG);
    static const char utf16[] = "\xFF\xFEs\0e\0e\0d\0:\0 \0001\0";
    ck_assert_int_eq(ft_config_parse(utf16, sizeof utf16 - 1, "t.yaml", &c), FT_E_CONFIG);
    ft_rng rng = ft_rng_stream(7, 0);
    for (int round = 0; round < 500; ++round) {
        char noise[512];
        for (size_t i = 0; i < sizeof noise; ++i) noise[i] = (char)ft_rng_bits(&rng);
        noise[0] = (char)0xFF;
        ck_assert_int_eq(ft_config_parse(noise, sizeof noise, "t.yaml", &c), FT_E_CONFIG);
    }
}
END_TEST

/* Random bytes, cuts, doublings of a valid file: read or refused with a place, and what is read is a legal
 * config. */
START_TEST(mutated_files) {
    ft_config c, parsed;
    char *base, *text;
    size_t base_len;
    ft_config_defaults(&c);
    ck_assert_int_eq(ft_config_set(&c, "data.path=faces \xC3\xA9"), FT_OK);
    ck_assert_int_eq(ft_config_to_text(&c, &base, &base_len), FT_OK);
    ck_assert_ptr_nonnull(text = malloc(2 * base_len));
    static const char marks[] = "{}[]:,#&*!|>'\"%@-? \n\t\r0123456789.e~<\\";
    ft_rng rng = ft_rng_stream(20000, 0);
    int n_read = 0;
    for (int round = 0; round < 20000; ++round) {
        size_t len = base_len;
        memcpy(text, base, base_len);
        for (uint32_t n = 1 + ft_rng_below(&rng, 4) / 3; n > 0; --n) {
            size_t at = ft_rng_below(&rng, (uint32_t)len);
            size_t piece = ft_rng_below(&rng, 40);
            piece = piece < len - at ? piece : len - at;
            switch (ft_rng_below(&rng, 8)) {
            case 0:
                len = at + 1;
                break;
            case 1: /* a piece out */
                memmove(text + at, text + at + piece, len - at - piece);
                len -= piece - (piece == len);
                break;
            case 2: /* a piece twice */
                memmove(text + at + piece, text + at, len - at);
                len += piece;
                break;
            case 3:
            case 4:
                text[at] = marks[ft_rng_below(&rng, sizeof marks - 1)];
                break;
            case 5:
                text[at] = (char)ft_rng_bits(&rng);
                break;
            default:
                text[at] = (char)(text[at] ^ (1 << ft_rng_below(&rng, 8)));
            }
        }
        ft_err e = ft_config_parse(text, len, "t.yaml", &parsed);
        ck_assert_msg(e == FT_OK || e == FT_E_CONFIG, "round %d: %s", round, ft_err_message());
        if (e != FT_OK)
            ck_assert_msg(strncmp(ft_err_message(), "t.yaml:", 7) == 0, "%s", ft_err_message());
        else if (n_read++ % 16 == 0)
            assert_round_trip(&parsed);
    }
    ck_assert_int_gt(n_read, 1000); /* else the mutations are too wild to test anything but the scanner */
    ck_assert_int_lt(n_read, 15000);
    free(text);
    free(base);
}
END_TEST

START_TEST(files) {
    char path[] = "/tmp/facet-config-XXXXXX", expected[256];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    static const char text[] = "seed: 7\ntrain:\n  batch: 8\n  epochs: 0\n";
    ck_assert_int_eq(write(fd, text, sizeof text - 1), (int)sizeof text - 1);
    ft_config c;
    ck_assert_int_eq(ft_config_read(path, &c), FT_E_CONFIG);
    snprintf(expected, sizeof expected,
             "%s:4:11: train.epochs: '0' is out of range; expected an integer >= 1", path);
    ck_assert_str_eq(ft_err_message(), expected);
    ck_assert_int_eq(ftruncate(fd, 26), 0);
    ck_assert_msg(ft_config_read(path, &c) == FT_OK, "%s", ft_err_message());
    ck_assert_uint_eq(c.seed, 7);
    ck_assert_int_eq(c.train.batch, 8);
    ck_assert_int_eq(ftruncate(fd, FT_CONFIG_FILE_BYTES + 1), 0);
    ck_assert_int_eq(ft_config_read(path, &c), FT_E_CONFIG);
    snprintf(expected, sizeof expected, "%s: over 1048576 bytes; this is no configuration", path);
    ck_assert_str_eq(ft_err_message(), expected);
    close(fd);
    unlink(path);
    ck_assert_int_eq(ft_config_read(path, &c), FT_E_CONFIG);
    snprintf(expected, sizeof expected, "%s: cannot be opened: No such file or directory", path);
    ck_assert_str_eq(ft_err_message(), expected);
    ck_assert_int_eq(ft_config_read("/tmp", &c), FT_E_IO);
    ck_assert_str_eq(ft_err_message(), "/tmp: cannot be read: Is a directory");
    ck_assert_int_eq(c.train.batch, 8);

    FILE *full = fopen("/dev/full", "w");
    ck_assert_ptr_nonnull(full);
    ck_assert_int_eq(ft_config_write(&c, full), FT_E_IO);
    ck_assert_str_eq(ft_err_message(), "cannot write the configuration: No space left on device");
    fclose(full);
}
END_TEST

START_TEST(help_and_reference_name_every_key) {
    static void (*const writers[])(FILE *) = {ft_config_help, ft_config_reference};
    for (int i = 0; i < N_OF(writers); ++i) {
        char *page, line[256];
        size_t len;
        FILE *file = open_memstream(&page, &len);
        writers[i](file);
        ck_assert_int_eq(fclose(file), 0);
        for (int row = 0; row < ft_options_count; ++row) {
            const ft_option *option = &ft_options[row];
            bool section = option->type == FT_OPTION_SECTION;
            snprintf(line, sizeof line,
                     i == 0    ? section ? "\n%s: " : "\n  %s="
                     : section ? "\n## %s\n"
                               : "\n| `%s` |",
                     option->key);
            ck_assert_msg(strstr(page, line), "no %s in\n%s", line, page);
            ck_assert_ptr_nonnull(strstr(page, option->doc));
        }
        free(page);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("config_files");
    TCase *tc = tcase_create("config");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, every_option_there_and_back);
    tcase_add_test(tc, every_phase_there_and_back);
    tcase_add_test(tc, hostile_files);
    tcase_add_test(tc, mutated_files);
    tcase_add_test(tc, files);
    tcase_add_test(tc, help_and_reference_name_every_key);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
