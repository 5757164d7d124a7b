/* Lists, mappings of patterns, and phases in a configuration. */
#include "tests/config_testing.h"

#include <math.h>

static ft_config read_config(const char *text) {
    ft_config c;
    ck_assert_msg(parse(text, &c) == FT_OK, "%s", ft_err_message());
    return c;
}

START_TEST(lists_and_mappings) {
    ft_config c =
        read_config("model: {freeze: {match: [conv2d_1, \"batch*\"]}, weights: {allow_missing: one}}\n"
                    "train: {lr_multipliers: {\"mixed9*\": 0.1, \"predictions/*\": 1e1}}\n");
    char item[FT_CONFIG_NAME_BYTES];
    double number = 7;
    ck_assert(ft_config_item(c.model.freeze.match, 0, item, &number));
    ck_assert_str_eq(item, "conv2d_1");
    ck_assert(number == 7);
    ck_assert(ft_config_item(c.model.freeze.match, 1, item, NULL));
    ck_assert_str_eq(item, "batch*");
    ck_assert(!ft_config_item(c.model.freeze.match, 2, item, NULL));
    ck_assert_str_eq(c.model.weights.allow_missing, "one");
    ck_assert(ft_config_item(c.train.lr_multipliers, 1, item, &number));
    ck_assert_str_eq(item, "predictions/*");
    ck_assert(number == 10);
    ck_assert(!ft_config_item(c.train.lr_multipliers, 2, item, &number));
    ck_assert(!ft_config_item(c.data.list.where, 0, item, NULL));
    assert_round_trip(&c);
    ck_assert_int_eq(ft_config_set(&c, "data.list.where=status=ok,age>=12"), FT_OK);
    ft_config_items items;
    ft_config_split(c.data.list.where, &items);
    ck_assert_int_eq(items.n, 2);
    ck_assert_str_eq(items.at[0], "status=ok");
    ck_assert_str_eq(items.at[1], "age>=12");
    ft_config none;
    ft_config_defaults(&none);
    ft_config_split(none.model.freeze.match, &items);
    ck_assert_int_eq(items.n, 0);
    ck_assert(ft_config_item(c.data.list.where, 1, item, NULL));
    ck_assert_str_eq(item, "age>=12");
    ck_assert_int_eq(ft_config_set(&c, "train.lr_multipliers=a*=0.5"), FT_OK);
    ck_assert(ft_config_item(c.train.lr_multipliers, 0, item, &number) && number == 0.5);
    assert_round_trip(&c);
}
END_TEST

static const char three[] = "model: {freeze: mixed2}\n"
                            "data: {augment: {flip: true}}\n"
                            "train:\n"
                            "  optimizer: {name: sgd, lr: 0.05, momentum: 0.9}\n"
                            "  lr_multipliers: {\"*\": 0.5}\n"
                            "  phases:\n"
                            "    - {epochs: 3, freeze: {up_to: mixed10}, schedule: cosine}\n"
                            "    - epochs: 5\n"
                            "      freeze: {}\n"
                            "      optimizer: adam\n"
                            "      augment: {flip: false}\n"
                            "    - {epochs: 1, optimizer: {lr: 0.005}, lr_multipliers: {}, batch: 7}\n";

static ft_config phase_of(const ft_config *c, int32_t i) {
    ft_config out;
    ck_assert_msg(ft_config_phase(c, i, &out) == FT_OK, "%s", ft_err_message());
    ft_config_resolve(&out);
    ck_assert_int_eq(ft_config_n_phases(&out), 1);
    return out;
}

START_TEST(phases_hold_instead_of_what_is_outside) {
    ft_config c = read_config(three), p;
    assert_round_trip(&c);
    ck_assert_int_eq(ft_config_n_phases(&c), 3);
    ft_config_resolve(&c);
    ck_assert_int_eq(c.train.epochs, 9);
    p = phase_of(&c, 0);
    ck_assert(p.train.epochs == 3 && p.train.optimizer.lr == 0.05 && p.train.optimizer.momentum == 0.9);
    ck_assert_str_eq(p.model.freeze.up_to, "mixed10");
    ck_assert_int_eq(p.train.schedule.name, FT_CONFIG_SCHEDULE_COSINE);
    ck_assert(p.data.augment.flip);
    p = phase_of(&c, 1);
    ck_assert_str_eq(p.model.freeze.up_to, ""); /* nothing is frozen */
    ck_assert_int_eq(p.train.optimizer.name, FT_CONFIG_OPTIMIZER_ADAM);
    ck_assert(p.train.optimizer.lr == 0.001); /* its own, not sgd's */
    ck_assert(!p.data.augment.flip);
    ck_assert_int_eq(p.train.schedule.name, FT_CONFIG_SCHEDULE_CONSTANT);
    p = phase_of(&c, 2);
    ck_assert(p.train.optimizer.name == FT_CONFIG_OPTIMIZER_SGD && p.train.optimizer.lr == 0.005);
    ck_assert(p.train.batch == 7);
    ck_assert_str_eq(p.train.lr_multipliers, "");
    ck_assert_str_eq(p.model.freeze.up_to, "mixed2"); /* as outside */
    ck_assert_str_eq(phase_of(&c, 1).train.lr_multipliers, "*=0.5");
    assert_round_trip(&c);
}
END_TEST

START_TEST(without_phases_there_is_one) {
    ft_config c = read_config("train: {epochs: 4}"), p;
    ck_assert_int_eq(ft_config_n_phases(&c), 1);
    ck_assert_int_eq(ft_config_phase(&c, 0, &p), FT_OK);
    ck_assert_mem_eq(&c, &p, sizeof c);
}
END_TEST

START_TEST(phases_can_be_overridden) {
    ft_config c = read_config(three);
    ck_assert_int_eq(ft_config_set(&c, "train.phases[1].epochs=2"), FT_OK);
    ck_assert_int_eq(ft_config_set(&c, "train.phases[0].optimizer.lr=0.25"), FT_OK);
    ck_assert_int_eq(ft_config_set(&c, "train.phases[2].freeze=mixed8"), FT_OK);
    ck_assert(phase_of(&c, 1).train.epochs == 2 && phase_of(&c, 0).train.optimizer.lr == 0.25);
    ck_assert_str_eq(phase_of(&c, 2).model.freeze.up_to, "mixed8");
    assert_round_trip(&c);
    static const char *const wrong[][2] = {
        {"train.phases[3].epochs=1", "there is no phase 3"},
        {"train.phases[-1].epochs=1", "there is no phase -1"},
        {"train.phases[0]=1", "train.phases[0].key=value"},
        {"train.phases[0].ema=0.9", "unknown key 'ema' in a phase"},
        {"train.phases[0].optimizer.rate=1", "unknown key 'rate' in train.optimizer"},
        {"train.phases[0].epochs=0", "train.epochs: '0' is out of range"},
        {"train.phases=3", "train.phases[0].epochs=..."},
        {"train.lr_multipliers=mixed9", "'mixed9' is not pattern=number"},
        {"train.lr_multipliers=a=-1", "is out of range"},
        {"train.lr_multipliers=a=x", "has no number"},
        {"model.freeze.match=a,,b", "has an empty item"},
    };
    for (int i = 0; i < N_OF(wrong); i++) {
        ft_config before = c;
        ck_assert_msg(ft_config_set(&c, wrong[i][0]) == FT_E_CONFIG, "%s was accepted", wrong[i][0]);
        ck_assert_msg(strstr(ft_err_message(), wrong[i][1]), "%s: %s", wrong[i][0], ft_err_message());
        ck_assert_mem_eq(&before, &c, sizeof c);
    }
}
END_TEST

static const char *const mistakes[][2] = {
    {"train: {phases: 3}", "t.yaml:1:17: train.phases: expected a list of mappings"},
    {"train: {phases: [3]}", "t.yaml:1:18: train.phases: a phase is a mapping"},
    {"train: {phases: [{batch: 3}]}", "t.yaml:1:18: a phase of train.phases needs epochs"},
    {"train: {phases: [{epochs: 3, epoch: 3}]}", "t.yaml:1:30: unknown key 'epoch' in a phase"},
    {"train: {phases: [{epochs: 3, epochs: 3}]}", "t.yaml:1:30: duplicate key train.epochs"},
    {"train: {phases: [{epochs: 3, phases: []}]}", "unknown key 'phases' in a phase"},
    {"train:\n  phases:\n    - epochs: 3\n      optimizer: {lr: x}", "t.yaml:4:23: train.optimizer.lr: 'x'"},
    {"train: {phases: [{epochs: 1}, {epochs: 1}, {epochs: 1}, {epochs: 1}, {epochs: 1}, {epochs: 1}, "
     "{epochs: 1}, {epochs: 1}, {epochs: 1}]}",
     "train.phases: at most 8"},
    {"train: {lr_multipliers: [a]}", "t.yaml:1:25: train.lr_multipliers: expected a mapping"},
    {"train: {lr_multipliers: {a: 1, a: 2}}", "t.yaml:1:32: train.lr_multipliers: 'a' is there twice"},
    {"train: {lr_multipliers: {a: b}}", "t.yaml:1:25: train.lr_multipliers: 'a=b' has no number"},
    {"train: {lr_multipliers: {a: [1]}}", "expected a number"},
    {"model: {freeze: {match: {a: 1}}}", "t.yaml:1:25: model.freeze.match: expected a list"},
    {"model: {freeze: {match: [\"a,b\"]}}",
     "t.yaml:1:26: model.freeze.match: an item is a text without commas"},
    {"model: {freeze: {match: [\"\"]}}", "not empty"},
    {"model: {freeze: {match: [[a]]}}", "an item is a text"},
};

START_TEST(mistakes_are_placed) {
    ft_config c;
    ck_assert_msg(parse(mistakes[_i][0], &c) == FT_E_CONFIG, "%s was accepted", mistakes[_i][0]);
    ck_assert_msg(strstr(ft_err_message(), mistakes[_i][1]), "no \"%s\" in \"%s\"", mistakes[_i][1],
                  ft_err_message());
}
END_TEST

static const char *const contradictions[][2] = {
    {"train: {phases: [{epochs: 3}, {epochs: 2, schedule: {warmup_epochs: 2}}]}",
     "train.phases[1]: train.schedule.warmup_epochs"},
    {"train: {phases: [{epochs: 3, optimizer: {nesterov: true}}]}",
     "train.phases[0]: train.optimizer.nesterov"},
    {"model: {freeze: {up_to: mixed1, layers: 3}}", "model.freeze: up_to and layers"},
    {"model: {weights: {include_top: false}}", "model.weights: include_top"},
};

START_TEST(contradictions_are_found_in_phases_too) {
    ft_config c = read_config(contradictions[_i][0]);
    strcpy(c.data.path, "x");
    ck_assert_int_eq(ft_config_check(&c), FT_E_CONFIG);
    ck_assert_msg(strstr(ft_err_message(), contradictions[_i][1]), "no \"%s\" in \"%s\"",
                  contradictions[_i][1], ft_err_message());
}
END_TEST

int main(void) {
    Suite *s = suite_create("config_phases");
    TCase *t = tcase_create("config_phases");
    tcase_add_test(t, lists_and_mappings);
    tcase_add_test(t, phases_hold_instead_of_what_is_outside);
    tcase_add_test(t, without_phases_there_is_one);
    tcase_add_test(t, phases_can_be_overridden);
    tcase_add_loop_test(t, mistakes_are_placed, 0, N_OF(mistakes));
    tcase_add_loop_test(t, contradictions_are_found_in_phases_too, 0, N_OF(contradictions));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
