/* What the tests of the configuration share. */
#ifndef FACET_TESTS_CONFIG_TESTING_H
#define FACET_TESTS_CONFIG_TESTING_H

#include "train/config.h"
#include "train/config_options.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define N_OF(a) ((int)(sizeof(a) / sizeof *(a)))

static inline ft_err parse(const char *text, ft_config *config) {
    return ft_config_parse(text, strlen(text), "t.yaml", config);
}

/* Writes config and reads it back; the copy must be the same bytes. */
static inline void assert_round_trip(const ft_config *config) {
    char *text;
    size_t len;
    ft_config copy;
    ck_assert_int_eq(ft_config_to_text(config, &text, &len), FT_OK);
    ck_assert_uint_eq(strlen(text), len);
    ck_assert_msg(ft_config_parse(text, len, "written", &copy) == FT_OK, "%s\n%s", ft_err_message(), text);
    ck_assert_msg(memcmp(&copy, config, sizeof copy) == 0, "differs after a round trip:\n%s", text);
    free(text);
}

#endif
